use platform::config::defaults;

use super::*;

const NEEDED: &str = "[wechat]\napp_id = \"wx0123456789abcdef\"\n";

fn parse(more: &str) -> Result<ConfigFile, String> {
    let text = format!("{NEEDED}{more}");
    ConfigFile::parse(Path::new("/etc/miniprogram/config.toml"), &text).map_err(|fault| fault.to_string())
}

#[test]
fn a_file_with_the_app_id_alone_has_the_defaults_of_the_template() {
    let config = parse("").unwrap();
    assert_eq!(format!("{:?}", config.settings), format!("{:?}", Settings::default()));
    assert_eq!(config.data, Path::new("/var/lib/miniprogram"));
    assert_eq!((config.rings_port, config.workers), (8787, 5));
    assert_eq!((config.log_level.as_str(), config.log_format), ("info", LogFormat::Json));
    assert!(config.socket.is_none() && config.operators.is_none() && config.metrics_port.is_none());
    let template = std::fs::read_to_string("../template.yaml").unwrap();
    for (parameter, default) in [
        ("SubmitIntervalMs", defaults::SUBMIT_INTERVAL_MS),
        ("LoginIntervalMs", defaults::LOGIN_INTERVAL_MS),
        ("MaxInFlight", defaults::MAX_IN_FLIGHT.into()),
        ("MaxInFlightLong", defaults::MAX_IN_FLIGHT_LONG.into()),
        ("MaximumConcurrency", 5),
        ("RetentionDays", defaults::RETENTION_DAYS),
        ("CheckpointEveryS", defaults::CHECKPOINT_EVERY_S),
        ("LongPollMaxS", defaults::LONG_POLL_MAX_S),
    ] {
        let declared = format!("\n  {parameter}:\n    Type: Number\n    Default: {default}\n");
        assert!(template.contains(&declared), "{parameter}");
    }
    for set in [
        format!("SUBMIT_BURST: \"{}\"", defaults::SUBMIT_BURST),
        format!("LOGIN_BURST: !If [Shielded, \"1000\", \"{}\"]", defaults::LOGIN_BURST),
        format!("MAX_CONVERSATIONS: \"{}\"", defaults::MAX_CONVERSATIONS),
        format!("WORKER_CONCURRENCY: \"{}\"", defaults::WORKER_CONCURRENCY),
        format!("CHECKPOINT_MAX_AGE_S: \"{}\"", defaults::CHECKPOINT_MAX_AGE_S),
    ] {
        assert!(template.contains(&format!("          {set}\n")), "{set}");
    }
}

#[test]
fn every_limit_reaches_its_setting() {
    let config = parse(
        "[limits]\nsubmit_interval_ms = 1\nsubmit_burst = 2\nlogin_interval_ms = 3\nlogin_burst = 4\nmax_in_flight = 5\n\
         max_in_flight_long = 6\nmax_conversations = 7\nsession_lifetime_s = 300\nlong_poll_max_s = 8\n\
         worker_concurrency = 9\nmaximum_concurrency = 10\n[retention]\ndays = 11\n\
         [checkpoints]\nevery_s = 60\nmax_age_s = 901\n",
    );
    let config = config.unwrap();
    let Settings { limits, login_rate, session_lifetime, long_poll_cap, .. } = config.settings;
    assert_eq!(limits.submissions, Rate::new(Duration::from_millis(1), 2));
    assert_eq!(login_rate, Rate::new(Duration::from_millis(3), 4));
    assert_eq!((limits.in_flight, limits.in_flight_long, limits.conversations), (5, 6, 7));
    assert_eq!((session_lifetime.as_secs(), long_poll_cap.as_secs()), (300, 8));
    assert_eq!((config.settings.worker_concurrency, config.workers, config.settings.retention_days), (9, 10, 11));
    assert_eq!(config.settings.checkpoint_every.as_secs(), 60);
    assert_eq!(config.settings.checkpoint_max_age.as_secs(), 901);
}

#[test]
fn what_is_wrong_is_named_with_its_file_and_key() {
    for (more, line, named) in [
        ("[limits]\nsubmit_bursts = 3\n", "line 4: ", "`submit_bursts`"),
        ("secret = \"0123\"\n", "line 3: ", "`secret`"),
        ("[backups]\n", "line 3: ", "`backups`"),
        ("[retention]\ndays = \"thirty\"\n", "line 4: ", "expected u64"),
        ("[log]\nformat = \"xml\"\n", "line 4: ", "`xml`"),
        ("[log]\nlevel = \"warning\"\n", "", "log.level must be levels"),
        ("[log]\nlevel = \"worker=loud,info\"\n", "", "log.level must be levels"),
        ("[retention]\ndays = 1\n", "", "retention.days must be 2 to 3650"),
        ("[limits]\nlogin_burst = 0\n", "", "limits.login_burst must be 1 to 10000"),
        ("[server]\ndata = \"data\"\n", "", "server.data must be an absolute path"),
        ("[backup]\nkeep = 0\n", "", "backup.keep must be 1 to 1000"),
        ("[backup]\njournal = \"journal.sqlite\"\n", "", "backup.journal must be an absolute path"),
        ("[gateway]\nuser = \"--root\"\n", "", "gateway.user must be the name of a user"),
        ("[gateway]\nunit = \"openclaw\"\n", "", "gateway.unit must be the name of a unit"),
        ("[alerts]\nwebhook_file = \"alerts-webhook\"\n", "", "alerts.webhook_file must be an absolute path"),
        ("[checkpoints]\nkeep_days = 29\n", "", "checkpoints.keep_days must be 30 to 3650"),
        ("[alerts]\nformat = \"slack\"\n", "line 4: ", "`slack`"),
        ("[alerts]\nheartbeat_url = \"http://example.com/0123\"\n", "", "alerts.heartbeat_url must be an https URL"),
        ("[gateway]\nurl = \"http://10.0.0.1:18789\"\n", "", "gateway.url must be an https URL"),
        ("[operators]\nissuer = \"https://login.example.com\"\n", "", "operators must be given with"),
    ] {
        let fault = parse(more).unwrap_err();
        assert!(fault.starts_with("/etc/miniprogram/config.toml"), "{fault}");
        assert!(fault.contains(line) && fault.contains(named) && !fault.contains('\n'), "{more}: {fault}");
        assert!(!fault.contains("0123"), "no value is quoted: {fault}");
    }
    let empty = ConfigFile::parse(Path::new("/c"), "").unwrap_err().to_string();
    assert!(empty.contains("`wechat`"), "{empty}");
}

#[test]
fn the_packaged_file_is_valid_and_its_socket_is_the_one_that_the_proxies_use() {
    let file = Path::new("../packaging/config.toml");
    let config = ConfigFile::read(file).unwrap();
    let socket = config.socket.unwrap().display().to_string();
    for proxy in ["../packaging/Caddyfile", "../packaging/nginx.conf"] {
        assert!(std::fs::read_to_string(proxy).unwrap().contains(&socket), "{proxy}");
    }
    let unit = std::fs::read_to_string("../packaging/miniprogram.service").unwrap();
    for credential in [config.wechat_secret_file, config.gateway_token_file] {
        let name = credential.file_name().unwrap().to_str().unwrap();
        assert!(unit.contains(&format!("LoadCredential={name}:")), "{name}");
    }
    // Without its file there is no webhook, and the service starts all the same.
    assert!(unit.contains("LoadCredential=alerts-webhook:") && unit.contains("SetCredential=alerts-webhook:none\n"));
}
