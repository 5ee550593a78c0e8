/** Changes the data of a page: its `setData`. A page's logic gets only this, so that it runs without a page as well. */
export type Set = (data: Record<string, unknown>) => void;
