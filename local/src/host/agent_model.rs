//! The model of the gateway's agents. `scripts/openclaw/agent-model.mjs` reads the environment and makes the choice, so that no
//! API key passes through this process.

use std::fmt;

/// The model to start the gateway with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentModel {
    /// The stand-in model, which follows directions in the user's message.
    StandIn,
    /// The model that the environment names, or else the stand-in.
    Environment,
}

impl AgentModel {
    /// The option of the gateway's script.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::StandIn => "stand-in",
            Self::Environment => "environment",
        }
    }
}

/// The model in use. Its text is for the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelInUse {
    /// The name to show.
    pub name: String,
    /// URL at which the stand-in model lists the requests that it got; `None` for a real model.
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
