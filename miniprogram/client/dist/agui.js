function o(){}export{o as aguiTransport};
