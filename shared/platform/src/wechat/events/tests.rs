use super::*;
use crate::wechat::OpenId;

const APP: &str = "wx-app";
const AT: i64 = 1_714_112_445;

fn vectors() -> Value {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/wechat.json");
    domain::json::kept(std::fs::read(file).unwrap()).unwrap()
}

fn key(text: &str) -> EncodingAesKey {
    EncodingAesKey::try_from(text.to_owned()).unwrap()
}

fn once() -> DigestKey {
    DigestKey::from_random([7; 32])
}

#[test]
fn signatures_are_those_of_wechats_page_and_of_another_implementation() {
    for vector in vectors()["signatures"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let signed: Vec<&str> = vector["signed"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(signature::sign(text("token"), &signed), text("signature"), "{}", vector["name"]);
        assert!(signature::matches(text("signature"), text("token"), &signed, &once()));
        assert!(!signature::matches(text("signature"), "other", &signed, &once()));
        assert!(!signature::matches("", text("token"), &signed, &once()));
    }
}

#[test]
fn envelopes_are_those_of_wechats_page_and_of_another_implementation() {
    for vector in vectors()["envelopes"].as_array().unwrap() {
        let text = |name: &str| vector[name].as_str().unwrap();
        let key = key(text("encoding_aes_key"));
        let opened = envelope::open(text("encrypted"), &key).unwrap_or_else(|| panic!("{}", vector["name"]));
        assert_eq!(opened.message, text("message").as_bytes());
        assert_eq!(opened.app_id, text("app_id").as_bytes());
        if let Some(random) = vector["random"].as_str() {
            let random = random.as_bytes().try_into().unwrap();
            let sealed = envelope::seal(text("message").as_bytes(), text("app_id"), random, &key);
            assert_eq!(sealed, text("encrypted"), "{}", vector["name"]);
        }
    }
}

#[test]
fn a_key_of_the_console_is_43_characters_of_base64_whatever_its_last_bits_are() {
    let (fine, trailing) = ("A".repeat(43), format!("{}B", "A".repeat(42)));
    for text in [&fine, &trailing] {
        assert!(EncodingAesKey::try_from(text.clone()).is_ok(), "{text}");
    }
    for text in ["", "A", &"A".repeat(42), &"A".repeat(44), &format!("{}-", "A".repeat(42)), &format!("{fine}=")] {
        assert_eq!(EncodingAesKey::try_from(text.to_owned()).unwrap_err(), envelope::NotAnAesKey, "{text}");
    }
    assert!(!format!("{:?}", key(&"Q".repeat(43))).contains("66"), "a key never prints");
}

#[test]
fn an_envelope_of_another_key_or_a_cut_one_does_not_open() {
    let (right, wrong) = (key(&"A".repeat(43)), key(&"B".repeat(43)));
    let sealed = envelope::seal(b"{}", APP, [7; 16], &right);
    assert!(envelope::open(&sealed, &right).is_some());
    assert_eq!(envelope::open(&sealed, &wrong), None);
    for cut in 0..sealed.len() {
        assert_eq!(envelope::open(&sealed[..cut], &right), None, "{cut}");
    }
    assert_eq!(envelope::open("", &right), None);
    assert_eq!(envelope::open("no base64", &right), None);
}

fn query(timestamp: &str) -> PushQuery<'_> {
    PushQuery { signature: "", timestamp, nonce: "n", msg_signature: "" }
}

#[test]
fn a_push_is_taken_within_five_minutes_of_its_time() {
    let secrets = EventSecrets { tokens: SecretString::from("t".to_owned()).into(), encoding_aes_keys: Vec::new() };
    for (offset, expected) in [(-301, Err(Refused::Time)), (-300, Ok(())), (300, Ok(())), (301, Err(Refused::Time))] {
        let timestamp = (AT + offset).to_string();
        let signature = signature::sign("t", &[&timestamp, "n"]);
        let query = PushQuery { signature: &signature, ..query(&timestamp) };
        assert_eq!(secrets.verify(&query, Timestamp::from_millis(AT * 1000), &once()), expected, "{offset}");
    }
    for timestamp in ["", "-1", "+1714112445", "1714112445.0", "17141124450000000", "soon", "１７１４１１２４４５"]
    {
        let signature = signature::sign("t", &[timestamp, "n"]);
        let query = PushQuery { signature: &signature, ..query(timestamp) };
        assert_eq!(secrets.verify(&query, Timestamp::from_millis(AT * 1000), &once()), Err(Refused::Time));
    }
}

#[test]
fn two_tokens_and_two_keys_are_accepted_while_the_console_is_changed() {
    let tokens = vec![SecretString::from("new".to_owned()), SecretString::from("old".to_owned())];
    let (new, old) = ("A".repeat(43), "B".repeat(43));
    let encoding_aes_keys = vec![key(&new), key(&old)];
    let secrets = EventSecrets { tokens: tokens.try_into().unwrap(), encoding_aes_keys };
    let timestamp = AT.to_string();
    for (token, by, app, expected) in [
        ("new", &new, APP, Ok(b"{}".to_vec())),
        ("old", &old, APP, Ok(b"{}".to_vec())),
        ("other", &new, APP, Err(Refused::Signature)),
        ("new", &"C".repeat(43), APP, Err(Refused::Undecryptable)),
        ("old", &old, "wx-another", Err(Refused::OtherApp)),
    ] {
        let encrypted = envelope::seal(b"{}", app, [7; 16], &key(by));
        let msg_signature = &signature::sign(token, &[&timestamp, "n", &encrypted]);
        let query = PushQuery { msg_signature, ..query(&timestamp) };
        let body = format!(r#"{{"Encrypt":"{encrypted}"}}"#);
        let opened = secrets.open(&query, body.as_bytes(), APP, Timestamp::from_millis(AT * 1000), &once());
        assert_eq!(opened, expected, "{token} {by}");
    }
}

fn reports(message: &str) -> Option<Vec<&'static str>> {
    WechatEvent::parse(message.as_bytes()).map(|event| event.reports().into_iter().map(Report::name).collect())
}

#[test]
fn an_answer_is_read_in_each_shape_that_wechat_gives_it() {
    let entry = r#"{"TemplateId":"T","SubscribeStatusString":"accept","PopupScene":"0"}"#;
    let other = r#"{"TemplateId":"U","SubscribeStatusString":"reject","PopupScene":0}"#;
    let head = r#""FromUserName":"o7esq5OI1Uej6Xixw1lA2H7XDVbc","CreateTime":"1620973045","Event":"subscribe_msg_popup_event""#;
    let accepted = Some(vec!["subscribe_accepted"]);
    let both = Some(vec!["subscribe_accepted", "subscribe_refused"]);
    for (message, expected) in [
        (format!(r#"{{{head},"List":{entry}}}"#), &accepted),
        (format!(r#"{{{head},"List":[{entry}]}}"#), &accepted),
        (format!(r#"{{{head},"List":[{entry},{other}]}}"#), &both),
        (format!(r#"{{{head},"SubscribeMsgPopupEvent":{{"List":[{entry},{other}]}}}}"#), &both),
        (format!(r#"{{{head},"SubscribeMsgPopupEvent":[{entry},{other}]}}"#), &both),
        (format!(r#"{{{head},"List":[]}}"#), &None),
        (format!(r#"{{{head}}}"#), &None),
        (format!(r#"{{{head},"List":"accept"}}"#), &None),
        (format!(r#"{{{head},"List":[{entry},7]}}"#), &None),
    ] {
        assert_eq!(&reports(&message), expected, "{message}");
    }
    let xml = |lists: &str| {
        format!(
            "<xml><FromUserName><![CDATA[otFpruAK8D-E6EfStSYonYSBZ8_4]]></FromUserName><CreateTime>1610969440</CreateTime>\
             <MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe_msg_popup_event]]></Event>\
             <SubscribeMsgPopupEvent>{lists}</SubscribeMsgPopupEvent></xml>"
        )
    };
    let list = |id: &str, status: &str| {
        format!(
            "\n <List>\n <TemplateId><![CDATA[{id}]]></TemplateId>\n <SubscribeStatusString>{status}</SubscribeStatusString>\n\
             <PopupScene>2</PopupScene></List>"
        )
    };
    assert_eq!(reports(&xml(&list("T", "accept"))), accepted);
    let three = xml(&[list("T", "accept"), list("U", "reject"), list("V", "<![CDATA[ban]]>")].concat());
    let Some(WechatEvent::Subscriptions { openid, answers }) = WechatEvent::parse(three.as_bytes()) else {
        panic!("{three}")
    };
    assert_eq!(openid.expose(), "otFpruAK8D-E6EfStSYonYSBZ8_4");
    let ids: Vec<_> = answers.iter().map(|answer| (answer.template_id.as_str(), answer.accepted)).collect();
    assert_eq!(ids, [("T", true), ("U", false), ("V", false)], "only `accept` is an acceptance");
}

#[test]
fn numbers_are_numbers_or_texts() {
    let sent = |code: &str| {
        format!(
            r#"{{"FromUserName":"o7esq5OI1Uej6Xixw1lA2H7XDVbc","Event":"subscribe_msg_sent_event",
                "List":{{"TemplateId":"T","MsgID":"1700827132819554304","ErrorCode":{code},"ErrorStatus":"success"}}}}"#
        )
    };
    for (code, expected) in [
        ("0", Some(vec!["message_delivered"])),
        ("\"0\"", Some(vec!["message_delivered"])),
        ("43101", Some(vec!["message_failed"])),
        ("\"43101\"", Some(vec!["message_failed"])),
        ("\"none\"", None),
        ("1.5", None),
        ("null", None),
        ("true", None),
    ] {
        assert_eq!(reports(&sent(code)), expected, "{code}");
    }
}

#[test]
fn each_event_is_what_it_says() {
    let user =
        r#""FromUserName":"owAqB1v0ahK_Xlc7GshIDdf2yf7E","OpenID":"owAqB1nqaOYYWl0Ng484G2z5NIwU","RevokeInfo":"1""#;
    let parsed = WechatEvent::parse(format!(r#"{{{user},"Event":"user_authorization_revoke"}}"#).as_bytes());
    let openid = OpenId::parse("owAqB1nqaOYYWl0Ng484G2z5NIwU").unwrap();
    assert_eq!(parsed, Some(WechatEvent::AuthorizationRevoked(UserChange { openid })), "not the account that sends it");
    let media = |rest: &str| format!(r#"{{"Event":"wxa_media_check","trace_id":"t",{rest}}}"#);
    for (message, expected) in [
        (format!(r#"{{{user},"Event":"user_authorization_cancellation"}}"#), Some("authorization_cancelled")),
        (r#"{"Event":"user_authorization_cancellation","OpenID":"o \u0000"}"#.to_owned(), None),
        (media(r#""errcode":0,"result":{"suggest":"pass","label":100}"#), Some("media_passed")),
        (media(r#""errcode":0,"result":{"suggest":"risky","label":20002}"#), Some("media_held")),
        (media(r#""errcode":0,"result":{"suggest":"review","label":21000}"#), Some("media_held")),
        (media(r#""errcode":"-1008""#), Some("media_held")),
        (media(r#""result":{"suggest":"pass"}"#), None),
        (r#"{"Event":"debug_demo"}"#.to_owned(), Some("unknown")),
        (r#"{"MsgType":"text","Content":"hello"}"#.to_owned(), Some("unknown")),
        ("{}".to_owned(), Some("unknown")),
        ("[]".to_owned(), None),
        ("\"text\"".to_owned(), None),
        ("<xml>text</xml>".to_owned(), None),
        ("<xml></xml>".to_owned(), None),
        ("<xml>".to_owned(), None),
        (String::new(), None),
    ] {
        assert_eq!(reports(&message), expected.map(|name| vec![name]), "{message}");
    }
}

#[test]
fn a_document_type_too_many_elements_and_too_many_levels_are_refused() {
    let bomb = r#"<!DOCTYPE xml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><Event>&b;</Event></xml>"#;
    let file = r#"<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/hostname">]><xml><Event>&a;</Event></xml>"#;
    let wide = format!("<xml>{}</xml>", "<a/>".repeat(8000));
    let nested = |levels: usize| format!("<xml>{}x{}</xml>", "<a>".repeat(levels), "</a>".repeat(levels));
    for message in [bomb, file, "<xml><Event>&a;</Event></xml>", &wide, &nested(16), &nested(1500), &nested(4000)] {
        assert_eq!(WechatEvent::parse(message.as_bytes()), None, "{message:.60}");
    }
    assert_eq!(reports(&nested(15)), Some(vec!["unknown"]));
    assert_eq!(reports("<xml><Event>&lt;debug&#x5f;demo&gt;</Event></xml>"), Some(vec!["unknown"]));
}
