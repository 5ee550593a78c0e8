//! `policy/risk.toml`: whether WeChat ranks the risk of a user who logs in, and what follows from a rank. Read and checked
//! at the start of a function.

use serde::Deserialize;

use crate::access::service_mode::Mode;

/// Path of the settings below `policy/`.
pub const RISK: &str = "risk.toml";

/// WeChat's ranks: 0 to 4.
const RANKS: usize = 5;

/// The risk of a user, as WeChat ranks it: the higher, the riskier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RiskRank(u8);

impl RiskRank {
    /// A rank; `None` for a number that this version does not know.
    pub fn new(number: i64) -> Option<Self> {
        u8::try_from(number).ok().filter(|rank| usize::from(*rank) < RANKS).map(Self)
    }

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "rank_0",
            1 => "rank_1",
            2 => "rank_2",
            3 => "rank_3",
            _ => "rank_4",
        }
    }
}

/// What a login is for, as WeChat sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskScene {
    /// Registration.
    #[default]
    Register,
    /// Promotions.
    Marketing,
    /// What users publish.
    Content,
}

/// What a user of a rank may do. Ordered: the greater of two is stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskDecision {
    /// Every call that the policies permit.
    #[default]
    Pass,
    /// As if the service mode were `read_only` at most.
    ReadOnly,
    /// As if the service mode were `explain_only` at most.
    ExplainOnly,
    /// The login is refused.
    Refuse,
}

/// What a login changes about the limit that is stored with its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitChange {
    /// No limit holds from now on.
    Clear,
    /// The limit of an earlier login stays, if there is one: WeChat has given no rank.
    Keep,
    /// At most this mode.
    To(Mode),
}

/// Whether risk is ranked, and what follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Risk(Option<RiskChecks>);

/// The settings of the ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskChecks {
    scene: RiskScene,
    ranks: [RiskDecision; RANKS],
    unranked: RiskDecision,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RiskFault {
    /// The file is not valid TOML, or does not have the expected fields.
    #[error("policy/risk.toml cannot be read")]
    Toml(#[source] toml::de::Error),
    /// Every user would be restricted, or none could log in.
    #[error("policy/risk.toml: rank 0, which WeChat gives to users without a risk, must be \"pass\"")]
    RankZeroIsLimited,
    /// A riskier user would be treated less strictly than another one.
    #[error("policy/risk.toml: rank {0} is less strict than the rank before it")]
    Inverted(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    enabled: bool,
    #[serde(default)]
    scene: RiskScene,
    ranks: [RiskDecision; RANKS],
    #[serde(default)]
    unranked: RiskDecision,
}

impl Risk {
    /// Parses and checks the settings.
    pub fn parse(text: &str) -> Result<Self, RiskFault> {
        let File { enabled, scene, ranks, unranked } = toml::from_str(text).map_err(RiskFault::Toml)?;
        if ranks[0] != RiskDecision::Pass {
            return Err(RiskFault::RankZeroIsLimited);
        }
        if let Some(place) = ranks.windows(2).position(|pair| pair[1] < pair[0]) {
            return Err(RiskFault::Inverted(place + 1));
        }
        Ok(Self(enabled.then_some(RiskChecks { scene, ranks, unranked })))
    }

    /// The settings; `None` when risk is not ranked.
    pub const fn checks(&self) -> Option<&RiskChecks> {
        self.0.as_ref()
    }

    /// The mode that limits a user whose last login has stored this one. None while risk is not ranked: what was found
    /// before it was switched off holds no longer.
    pub fn limit(&self, stored: Option<Mode>) -> Option<Mode> {
        stored.filter(|_| self.0.is_some())
    }
}

impl RiskChecks {
    /// What a login is for.
    pub const fn scene(&self) -> RiskScene {
        self.scene
    }

    /// What follows from a rank; `None` for a user whom WeChat has not ranked.
    pub fn decision(&self, rank: Option<RiskRank>) -> RiskDecision {
        rank.map_or(self.unranked, |RiskRank(rank)| self.ranks[usize::from(rank)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: &str = include_str!("../../../policy/risk.toml");

    #[test]
    fn the_built_in_file_is_valid_and_off() {
        assert_eq!(Risk::parse(BUILT_IN).unwrap(), Risk::default());
        let on = Risk::parse(&BUILT_IN.replace("enabled = false", "enabled = true")).unwrap();
        let decided = |rank| on.checks().unwrap().decision(RiskRank::new(rank));
        for (rank, decision) in [
            (0, RiskDecision::Pass),
            (2, RiskDecision::Pass),
            (3, RiskDecision::ExplainOnly),
            (4, RiskDecision::Refuse),
            // Numbers that WeChat may add.
            (5, RiskDecision::Pass),
            (-1, RiskDecision::Pass),
        ] {
            assert_eq!(decided(rank), decision, "{rank}");
        }
        let stored = Some(Mode::ReadOnly);
        assert_eq!((on.limit(stored), on.limit(None), Risk::default().limit(stored)), (stored, None, None));
    }

    #[test]
    fn settings_that_would_not_do_what_they_seem_to_are_refused() {
        let ranks = |ranks: &str| format!("enabled = true\nranks = [{ranks}]");
        let all = |decision: &str| ranks(&format!("{decision:?}, ").repeat(5));
        for (text, expected) in [
            (String::new(), "cannot be read"),
            ("enabled = true".to_owned(), "cannot be read"),
            (ranks(r#""pass", "pass", "pass", "refuse""#), "cannot be read"),
            (all("block"), "cannot be read"),
            (format!("{}\nscene = \"login\"", all("pass")), "cannot be read"),
            (format!("{}\nunknown = \"pass\"", all("pass")), "cannot be read"),
            (all("refuse"), "rank 0"),
            (ranks(r#""pass", "pass", "refuse", "read_only", "refuse""#), "rank 3 is less strict"),
            // Checked also while `enabled` is false, so that switching it on cannot fail.
            (all("refuse").replace("true", "false"), "rank 0"),
        ] {
            let fault = Risk::parse(&text).unwrap_err().to_string();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        // All of them "pass": the metric shows the ranks before anything follows from them.
        assert!(Risk::parse(&all("pass")).unwrap().checks().is_some());
    }
}
