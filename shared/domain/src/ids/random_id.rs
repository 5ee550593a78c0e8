//! The random ids by which the service knows users and operators. They are not derived from an openid or a subject and
//! say nothing about it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text_form;

macro_rules! random_id {
    ($(#[$about:meta])* $id:ident, $fault:ident, $error:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(Uuid);

        /// The text is not such an id.
        #[derive(Debug, thiserror::Error)]
        #[error($error)]
        pub struct $fault;

        impl $id {
            /// An id from 16 random bytes.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $id {
            type Err = $fault;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id = Uuid::try_parse(text).map_err(|_| $fault)?;
                // Only the canonical spelling is accepted: the text is a partition key.
                if id.as_hyphenated().to_string() == text { Ok(Self(id)) } else { Err($fault) }
            }
        }

        text_form!($id, $fault);
    };
}

random_id! {
    /// A user of the service: a random UUID, safe to log.
    UserId, NotAUserId, "not a user id"
}

random_id! {
    /// An operator: a random UUID that their first sign-in was given, safe to log and to keep in an audit record.
    OperatorId, NotAnOperatorId, "not an operator id"
}

impl UserId {
    /// The last byte, which is random: distributes users' items over partitions.
    pub fn spread(self) -> u8 {
        self.0.as_bytes()[15]
    }
}
