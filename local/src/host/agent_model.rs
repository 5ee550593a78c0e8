//! Which model the gateway's agents ask, and how that is said. The choice is made in `scripts/agent-model.mjs`, which reads
//! the environment, so that no key passes through here.

use std::fmt;

/// Which model to start the gateway with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentModel {
    /// A script that obeys what the user writes.
    StandIn,
    /// The one that the environment names, or else the stand-in.
    Environment,
}

impl AgentModel {
    /// As the gateway's script calls it.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::StandIn => "stand-in",
            Self::Environment => "environment",
        }
    }
}

/// The model that the agents do ask. Its text is for the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelInUse {
    /// For people.
    pub name: String,
    /// Where the stand-in says what it was asked; absent: a real model.
    pub stand_in: Option<String>,
}

impl fmt::Display for ModelInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stand_in {
            None => write!(f, "The agents ask {}: turns go there, and cost what it costs.", self.name),
            Some(_) => f.write_str(
                "\n*** THERE IS NO LANGUAGE MODEL HERE. The agents ask a scripted stand-in that obeys [[say:TEXT]],\n\
                 *** [[tool:NAME {json}]] and more in the user's text. Set OPENAI_API_KEY, or OPENCLAW_MODEL=provider/model\n\
                 *** with that provider's key, for a real one.\n",
            ),
        }
    }
}
