//! The first configuration of one host: keys, credentials, OpenClaw's configuration, the proxy and the units. It finds what
//! it can, changes only what differs, and can be run again at any time.

mod caddy;
mod commands;
mod config_text;
mod fault;
mod openclaw;
mod replace;
mod steps;
mod units;

use std::{fs, path::Path};

use domain::json;
use serde_json::Value;

pub use self::fault::SetupFault;
use self::{
    caddy::Site,
    commands::{User, quoted, run, said},
    config_text::Key,
    openclaw::{Change, Wanted},
    replace::replace,
    steps::{Restart, Steps},
};
use super::{
    config_file::{ConfigFile, DEFAULT_GATEWAY},
    credentials,
    guard_lists::GuardLists,
    policy_folder,
};
use crate::data::failed;

/// The plugin of the package.
const PLUGIN_DIR: &str = "/usr/share/miniprogram/openclaw-plugin";
/// The example in the configuration file of the package.
const EXAMPLE_APP_ID: &str = "wx0123456789abcdef";
/// Where restarts are marked that are still to be made. Root's: it is no part of the service's own data.
pub const DEFAULT_STATE: &str = "/var/lib/miniprogram-setup/state.json";

/// What the operator says; everything else is found.
pub struct Setup<'a> {
    /// The configuration file of the service.
    pub config_file: &'a Path,
    /// The domain that phones reach; without one Caddy's configuration is left alone.
    pub domain: Option<&'a str>,
    /// The Mini Program's app id; by default the one that is configured.
    pub app_id: Option<&'a str>,
    /// The user that OpenClaw runs as; by default the one that is configured.
    pub user: Option<&'a str>,
    /// The command of OpenClaw, as that user calls it.
    pub openclaw: &'a str,
    /// Caddy's configuration.
    pub caddyfile: &'a Path,
    /// The file with the restarts that are still to be made.
    pub state: &'a Path,
    /// Says what would be done, and changes nothing.
    pub is_trial: bool,
    /// Asks for the app secret.
    pub ask: &'a dyn Fn() -> Result<String, Box<dyn std::error::Error + Send + Sync>>,
    /// Takes each line for the operator.
    pub say: &'a dyn Fn(&str),
}

/// What was found, and what follows from it.
struct Plan {
    user: User,
    /// The new text of the configuration, if it changes.
    config_text: Option<String>,
    config: ConfigFile,
    /// The gateway's token, if it is another than the one in its place.
    token: Option<String>,
    needs_secret: bool,
    openclaw: Vec<Change>,
    /// The text of Caddy's configuration, if there is one.
    caddyfile: Option<String>,
}

/// What the configuration gets from the gateway.
struct Found<'a> {
    user: &'a str,
    journal: String,
    gateway: &'a Value,
}

impl Setup<'_> {
    /// Sets the host up. Everything is read and checked before the first change.
    pub fn run(&self) -> Result<(), SetupFault> {
        let plan = self.plan()?;
        let mut steps = Steps::new(self.is_trial, self.state, self.say);
        self.configure(&plan, &mut steps)?;
        self.configure_openclaw(&plan, &mut steps)?;
        self.configure_caddy(plan.caddyfile.as_deref(), &mut steps)?;
        units::restart_caddy(&mut steps)?;
        units::start(&mut steps)?;
        if steps.changed() == 0 {
            (self.say)("Nothing is to be changed.");
        }
        (self.say)("Next: `miniprogram doctor`, then `miniprogram mode set full --reason \"first opening\"`.");
        Ok(())
    }

    fn plan(&self) -> Result<Plan, SetupFault> {
        let text = fs::read_to_string(self.config_file).map_err(failed(self.config_file, "read"))?;
        let before = ConfigFile::parse(self.config_file, &text)?;
        let policy = policy_folder::check(before.policy_dir.as_deref())?;
        let user = self.user(&before)?;
        let gateway_file = user.config_file()?;
        let (plugins, tools) = (user.config_value("plugins")?, user.config_value("tools")?);
        let gateway = read_gateway(Path::new(&gateway_file))?;
        let state = Path::new(&gateway_file).parent().unwrap_or(Path::new("/"));
        let wanted = Wanted {
            plugin_dir: PLUGIN_DIR.to_owned(),
            journal: state.join("miniprogram-journal/journal.sqlite").display().to_string(),
            lists: GuardLists::of(&policy.tools),
            webhook: format!("http://127.0.0.1:{}/v1/rings", before.rings_port),
        };
        let changes = openclaw::changes(&plugins, &tools, &wanted);
        if !changes.is_empty() {
            user.patch(&openclaw::patch(&changes), true)?;
        }
        let found = Found { user: &user.name, journal: openclaw::journal(&plugins, &wanted), gateway: &gateway };
        let (text, config) = self.config(&text, &before, &found)?;
        Ok(Plan {
            config_text: text,
            config,
            token: self.token(&gateway, &gateway_file)?,
            needs_secret: credentials::get(self.config_file, credentials::WECHAT_APP_SECRET).is_none(),
            openclaw: changes,
            caddyfile: self.caddyfile_text()?,
            user,
        })
    }

    /// Caddy's configuration. One that cannot be read may have sites, so it must not be taken for one that is missing.
    fn caddyfile_text(&self) -> Result<Option<String>, SetupFault> {
        match fs::read_to_string(self.caddyfile) {
            Ok(text) => Ok(Some(text)),
            Err(cause) if self.domain.is_none() || cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(failed(self.caddyfile, "read")(cause).into()),
        }
    }

    /// The user that OpenClaw runs as, who is there and is not root.
    fn user(&self, before: &ConfigFile) -> Result<User, SetupFault> {
        let name = self.user.or(before.gateway_user.as_deref()).ok_or(SetupFault::Needed("--openclaw-user"))?;
        match said("id", &["-u", name]).as_deref() {
            None => Err(SetupFault::Command("id".to_owned(), format!("there is no user {name}"))),
            Some("0") => Err(SetupFault::Root),
            Some(_) => Ok(User { name: name.to_owned(), openclaw: quoted(self.openclaw) }),
        }
    }

    /// The configuration with the keys of this host, and its text if that changes.
    fn config(
        &self,
        text: &str,
        before: &ConfigFile,
        found: &Found<'_>,
    ) -> Result<(Option<String>, ConfigFile), SetupFault> {
        let configured = Some(before.wechat_app_id.as_str()).filter(|id| *id != EXAMPLE_APP_ID);
        let app_id = self.app_id.or(configured).ok_or(SetupFault::Needed("--app-id"))?;
        let key = |section, name, value: &str| Key { section, name, value: value.to_owned() };
        let mut keys = vec![
            key("wechat", "app_id", app_id),
            key("gateway", "user", found.user),
            key("backup", "journal", &found.journal),
        ];
        // Another URL was chosen by the operator, for example that of a proxy in front of the gateway.
        let is_default = before.gateway_url.trim_end_matches('/') == DEFAULT_GATEWAY;
        if let Some(port) = found.gateway["gateway"]["port"].as_u64().filter(|_| is_default) {
            let url = format!("http://127.0.0.1:{port}");
            if url != DEFAULT_GATEWAY {
                keys.push(key("gateway", "url", &url));
            }
        }
        let fresh = config_text::set(text, &keys);
        let config = ConfigFile::parse(self.config_file, &fresh)?;
        let is_meant = config.wechat_app_id == app_id
            && config.gateway_user.as_deref() == Some(found.user)
            && config.backup.journal.as_deref() == Some(Path::new(&found.journal));
        if !is_meant {
            return Err(SetupFault::Unclear(self.config_file.to_owned()));
        }
        Ok(((fresh != text).then_some(fresh), config))
    }

    /// The gateway's token, if it is not in its place already. One that the gateway reads from elsewhere cannot be found.
    fn token(&self, gateway: &Value, gateway_file: &str) -> Result<Option<String>, SetupFault> {
        let there = credentials::get(self.config_file, credentials::GATEWAY_TOKEN);
        let is_token =
            |text: &&str| !text.is_empty() && !text.contains("${") && text.bytes().all(|byte| byte.is_ascii_graphic());
        match (gateway["gateway"]["auth"]["token"].as_str().filter(is_token), there) {
            (Some(token), there) => Ok((there.as_deref() != Some(token)).then(|| token.to_owned())),
            (None, Some(_)) => Ok(None),
            (None, None) => Err(SetupFault::NoToken(gateway_file.to_owned())),
        }
    }

    fn configure(&self, plan: &Plan, steps: &mut Steps<'_>) -> Result<(), SetupFault> {
        let put = |name, value: &str| credentials::put(self.config_file, name, value).map(drop);
        if plan.needs_secret {
            let secret = if self.is_trial { String::new() } else { (self.ask)().map_err(SetupFault::Secret)? };
            steps.change(Restart::Service, "put the app secret in its place", || {
                Ok(put(credentials::WECHAT_APP_SECRET, &secret)?)
            })?;
        }
        if let Some(token) = &plan.token {
            let what = "put the gateway's token in its place";
            steps.change(Restart::Service, what, || Ok(put(credentials::GATEWAY_TOKEN, token)?))?;
        }
        if let Some(text) = &plan.config_text {
            let what = format!("write app id, user and journal into {}", self.config_file.display());
            steps.change(Restart::Service, &what, || Ok(replace(self.config_file, text)?))?;
        }
        Ok(())
    }

    fn configure_openclaw(&self, plan: &Plan, steps: &mut Steps<'_>) -> Result<(), SetupFault> {
        let Plan { user, openclaw: changes, config, .. } = plan;
        if !changes.is_empty() {
            changes.iter().for_each(|change| (self.say)(&format!("OpenClaw: {change}")));
            let what = format!("change OpenClaw's configuration as {}", user.name);
            steps.change(Restart::Gateway, &what, || user.patch(&openclaw::patch(changes), false))?;
        }
        if said("loginctl", &["show-user", &user.name, "--property=Linger", "--value"]).as_deref() != Some("yes") {
            let what = format!("let services of {} go on after logout", user.name);
            steps.step(&what, || run("loginctl", &["enable-linger", &user.name]))?;
        }
        if steps.is_pending(Restart::Gateway) {
            // After lingering, which starts the systemd of a user who is not logged in.
            let what = format!("restart {} of {}", config.gateway_unit, user.name);
            steps.step(&what, || user.restart(&config.gateway_unit))?;
            steps.settle(Restart::Gateway)?;
        }
        Ok(())
    }

    fn configure_caddy(&self, text: Option<&str>, steps: &mut Steps<'_>) -> Result<(), SetupFault> {
        let file = self.caddyfile;
        let Some(domain) = self.domain else {
            (self.say)("Without --domain, Caddy's configuration stays as it is.");
            return Ok(());
        };
        if !file.parent().is_some_and(Path::is_dir) {
            (self.say)(
                "Caddy is not installed: `apt install caddy` and run this again, or see nginx.conf beside its snippet.",
            );
            return Ok(());
        }
        match caddy::site(text, domain) {
            Site::There => {}
            Site::Write(text) => {
                let what = format!("write the site {domain} into {}", file.display());
                steps.change(Restart::Caddy, &what, || Ok(replace(file, &text)?))?;
            }
            Site::Foreign(text) => {
                (self.say)(&format!("{} has other sites, so add this yourself:\n{text}", file.display()));
            }
        }
        let groups = said("id", &["-nG", "caddy"]).unwrap_or_default();
        if !groups.split_whitespace().any(|group| group == "miniprogram") {
            let join = || run("usermod", &["-aG", "miniprogram", "caddy"]);
            steps.change(Restart::Caddy, "let Caddy use the socket", join)?;
        }
        Ok(())
    }
}

/// OpenClaw's configuration; null if there is none.
fn read_gateway(file: &Path) -> Result<Value, SetupFault> {
    match fs::read(file) {
        Ok(text) => json::foreign(&text).map_err(|_| SetupFault::NotJson(file.to_owned())),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(cause) => Err(failed(file, "read")(cause).into()),
    }
}
