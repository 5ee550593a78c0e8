use super::*;

const WORDS: &str = "[status]\nsucceeded='已完成'\nfailed='失败'\nrefused='被拒绝'\nexplained='未执行'\nexpired='已过期'\n\
                     unknown='结果待核实'\nawaiting_approval='待你确认'\n";
const ENTRY: &str = "[[notification]]\nname='done'\ntitle='Done'\ntemplate_id='tmpl-1'\npage='pages/job/job'\n\
                     on=['ended']\nfields={thing1='title',phrase2='status',time3='time',character_string4='request_id'}\n";

fn parse(text: &str) -> Result<Notifications, NotificationFault> {
    Notifications::parse(text, &["Append a note", "记账"])
}

fn good() -> String {
    format!("{WORDS}{ENTRY}")
}

#[test]
fn a_message_has_a_valid_value_in_each_field() {
    let all = parse(&good()).unwrap();
    let id: RequestId = "019ae3a4-7c00-7000-8000-0123456789ab".parse().unwrap();
    let about = About {
        title: "Append a note that is long",
        status: StatusWord::Unknown,
        at: Timestamp::from_millis(1_795_953_900_123),
        request_id: id,
    };
    let message = all.message(all.get("done").unwrap(), &about).unwrap();
    assert_eq!(
        serde_json::to_value(&message).unwrap(),
        serde_json::json!({
            "template_id": "tmpl-1",
            "page": "pages/job/job?request_id=019ae3a4-7c00-7000-8000-0123456789ab",
            "miniprogram_state": "formal",
            "lang": "zh_CN",
            "data": {
                "thing1": {"value": "Append a note that…"},
                "phrase2": {"value": "结果待核实"},
                "time3": {"value": "2026年11月29日 20:05"},
                "character_string4": {"value": "019ae3a47c00700080000123456789ab"},
            },
        })
    );
}

#[test]
fn settings_that_wechat_would_refuse_are_refused_at_the_start_with_the_name() {
    for (from, to, said) in [
        ("name='done'", "name='d d'", "letters"),
        ("tmpl-1", "tmpl 1", "template_id"),
        ("'pages/job/job'", "'/pages/job/job'", "page"),
        ("'pages/job/job'", "'pages/job/job?a=b'", "page"),
        ("title='Done'", "title=' '", "title"),
        ("on=['ended']", "on=[]", "never"),
        ("thing1", "amount1", "amount1"),
        ("thing1='title'", "phrase1='title'", "Append a note"),
        ("'已完成'", "'已经完成的任务'", "已经完成的任务"),
        ("time3='time'", "phrase3='time'", "phrase3"),
        ("character_string4", "thing4", "thing4"),
        ("thing1='title'", "thing1='name'", "text:"),
        ("thing1='title'", "thing1='text:a\tb'", "thing1"),
    ] {
        let text = good();
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        let fault = parse(&changed).unwrap_err().to_string();
        assert!(fault.contains("notification") && fault.contains(said), "{from} -> {to}: {fault}");
    }
    for (text, said) in [
        (good().replace("failed='失败'\n", ""), "Failed"),
        (format!("{}{ENTRY}", good()), "same template_id"),
        (format!("{}{}", good(), ENTRY.replace("tmpl-1", "tmpl-2")), "twice"),
        (format!("colour=1\n{}", good()), "cannot be read"),
        (good().replace("on=['ended']", "on=['begun']"), "cannot be read"),
    ] {
        let fault = parse(&text).unwrap_err().to_string();
        assert!(fault.contains(said), "{said}: {fault}");
    }
}

#[test]
fn without_a_notification_nothing_else_is_needed() {
    assert_eq!(parse("").unwrap().iter().count(), 0);
}
