//! Conversions of a type that is stored and published as its text, for serde's `try_from = "String", into = "String"`.

/// The conversions of a type with `Display` and with `FromStr`, whose error is the second type.
macro_rules! text_form {
    ($type:ty, $fault:ty) => {
        impl TryFrom<String> for $type {
            type Error = $fault;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use text_form;
