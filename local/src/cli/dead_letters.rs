//! `local dead-letters`: messages that the worker could not handle. Region, credentials and endpoint come from the
//! standard `AWS_*` variables.

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
};

use clap::{Args, Subcommand};
use domain::ids::Timestamp;
use platform::{
    config::{self, Env},
    dead_letters::{DeadLetters, Letter},
    runtime::Runtime,
};

use super::{Failure, output::say};

/// Commands about dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum DeadLettersCommand {
    /// Show each message: its id, age, receive count, and the job and user it names
    List(Queue),
    /// Send messages to the queue again, and delete each from the dead-letter queue once the queue has taken it; those
    /// that name no job stay
    Replay {
        #[command(flatten)]
        dead: Queue,
        /// The queue that the worker reads
        #[arg(long)]
        queue_url: String,
        #[command(flatten)]
        which: Which,
    },
    /// Delete messages
    Discard {
        #[command(flatten)]
        dead: Queue,
        /// A message, by the id that `list` shows
        #[arg(long = "id", value_name = "MESSAGE_ID", required = true)]
        ids: Vec<String>,
    },
}

/// Options that name the dead-letter queue.
#[derive(Debug, Args)]
pub(super) struct Queue {
    /// The dead-letter queue
    #[arg(long)]
    dead_letter_queue_url: String,
}

/// The selected messages.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// All of them
    #[arg(long)]
    all: bool,
    /// A message, by the id that `list` shows
    #[arg(long = "id", value_name = "MESSAGE_ID")]
    ids: Vec<String>,
}

/// One line about a message, which shows only the ids from its body.
struct Line<'a>(&'a Letter, Timestamp);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(letter, now) = self;
        let age_s = letter.sent_at.map(|at| (now.millis() - at.millis()).max(0) / 1000);
        write!(f, "{}", letter.id)?;
        match age_s {
            Some(age_s) => write!(f, "  age {age_s} s")?,
            None => write!(f, "  age unknown")?,
        }
        write!(f, "  received {}", letter.receives)?;
        match &letter.wake_up {
            Some(wake_up) => write!(f, "  request {}  user {}", wake_up.request_id, wake_up.user_id),
            None => write!(f, "  undecodable"),
        }
    }
}

/// Runs one of the commands. Messages that were only read are released, also after an error.
pub(super) async fn run(command: DeadLettersCommand) -> Result<(), Failure> {
    let aws = config::aws(&Env::process())?;
    let (Queue { dead_letter_queue_url }, ids) = match &command {
        DeadLettersCommand::List(dead) => (dead, &[][..]),
        DeadLettersCommand::Replay { dead, which, .. } => (dead, &which.ids[..]),
        DeadLettersCommand::Discard { dead, ids } => (dead, &ids[..]),
    };
    let dead = DeadLetters::new(&aws, dead_letter_queue_url.clone());
    let letters = dead.receive_all().await?;
    let mut gone = BTreeSet::new();
    let done = match ids.iter().find(|id| !letters.iter().any(|letter| letter.id == **id)) {
        Some(id) => Err(format!("there is no message {id} in the dead-letter queue").into()),
        None => act(&command, &dead, &letters, &mut gone).await,
    };
    let released = dead.release(letters.iter().filter(|letter| !gone.contains(&letter.id))).await;
    // The first error is reported.
    done.and(released.map_err(Failure::from))
}

/// Performs the command, and collects in `gone` the messages that are not in the queue any more.
async fn act(
    command: &DeadLettersCommand,
    dead: &DeadLetters,
    letters: &[Letter],
    gone: &mut BTreeSet<String>,
) -> Result<(), Failure> {
    match command {
        DeadLettersCommand::List(_) => list(letters),
        DeadLettersCommand::Replay { queue_url, which, .. } => {
            let mut left = 0;
            for letter in letters.iter().filter(|letter| which.all || which.ids.contains(&letter.id)) {
                if letter.wake_up.is_none() {
                    say(format_args!("{}  undecodable: left; `discard` removes it", letter.id));
                    left += 1;
                    continue;
                }
                let replayed = dead.replay(letter, queue_url).await;
                replayed.map_err(|fault| format!("{} messages were replayed, then {fault}", gone.len()))?;
                say(format_args!("{}  replayed", letter.id));
                gone.insert(letter.id.clone());
            }
            say(format_args!("{} messages replayed, {left} undecodable ones left.", gone.len()));
        }
        DeadLettersCommand::Discard { ids, .. } => {
            for letter in letters.iter().filter(|letter| ids.contains(&letter.id)) {
                dead.discard(letter).await?;
                say(format_args!("{}  discarded", letter.id));
                gone.insert(letter.id.clone());
            }
        }
    }
    Ok(())
}

fn list(letters: &[Letter]) {
    let now = Runtime::system().now();
    for letter in letters {
        say(Line(letter, now));
    }
    let undecodable = letters.iter().filter(|letter| letter.wake_up.is_none()).count();
    say(format_args!("{} messages, {undecodable} of them undecodable.", letters.len()));
}
