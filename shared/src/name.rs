//! Names of checks, actions and agents.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name of a check or an action, in bytes. Long enough for any sentence, short enough for a topic level.
pub const NAME_MAX: usize = 256;

/// Longest id of an agent, in bytes. It is an MQTT client id as well.
pub const AGENT_ID_MAX: usize = 64;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name must not be empty")]
    Empty,
    /// The text is longer than the limit.
    #[error("a name has at most {max} bytes, this one has {len}")]
    TooLong {
        /// Bytes found.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The text has a character that no name may have.
    #[error("a name must not contain {0:?}")]
    Character(char),
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cheap to clone: all clones share one text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as its owner wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = NameError;

            fn try_from(text: &str) -> Result<Self, NameError> {
                Self::judge(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::try_from(text.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_name! {
    /// Name of a check as its owner wrote it: any text but the empty one, without control characters.
    /// [`crate::topic`] escapes it into one topic level.
    CheckName
}

text_name! {
    /// Name of an action as its owner wrote it; the rules are those of [`CheckName`].
    ActionName
}

text_name! {
    /// Id of one agent: its MQTT client id and its level in the fleet topics. Letters, digits, `.`, `_` and `-`.
    AgentId
}

impl CheckName {
    fn judge(text: &str) -> Result<(), NameError> {
        free_text(text)
    }
}

impl ActionName {
    fn judge(text: &str) -> Result<(), NameError> {
        free_text(text)
    }
}

impl AgentId {
    fn judge(text: &str) -> Result<(), NameError> {
        length(text, AGENT_ID_MAX)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        text.chars().find(|&c| !allowed(c)).map_or(Ok(()), |c| Err(NameError::Character(c)))
    }

    /// The nearest id to any text, a host name for example: what an id may not contain becomes `-`.
    /// `None` where nothing is left of the text.
    pub fn nearest(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let id: String =
            text.chars().take(AGENT_ID_MAX).map(|c| if allowed(c) { c } else { '-' }).collect();
        Self::try_from(id).ok().filter(|id| id.as_str().chars().any(char::is_alphanumeric))
    }
}

fn free_text(text: &str) -> Result<(), NameError> {
    length(text, NAME_MAX)?;
    text.chars().find(|c| c.is_control()).map_or(Ok(()), |c| Err(NameError::Character(c)))
}

fn length(text: &str, max: usize) -> Result<(), NameError> {
    match text.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong { len, max }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_any_text_but_an_empty_a_long_or_an_unprintable_one() {
        assert!(CheckName::try_from("Größe / root +#").is_ok());
        assert_eq!(CheckName::try_from(""), Err(NameError::Empty));
        assert_eq!(CheckName::try_from("a\nb"), Err(NameError::Character('\n')));
        assert!(matches!(CheckName::try_from("x".repeat(257)), Err(NameError::TooLong { .. })));
    }

    #[test]
    fn an_agent_id_fits_one_topic_level_and_a_client_id() {
        assert!(AgentId::try_from("nas-1.lan").is_ok());
        assert_eq!(AgentId::try_from("a/b"), Err(NameError::Character('/')));
        assert_eq!(
            AgentId::nearest("my host/ü").map(|id| id.to_string()),
            Some("my-host--".into())
        );
        assert_eq!(AgentId::nearest("//"), None);
    }
}
