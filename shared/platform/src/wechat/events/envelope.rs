//! Safe mode: AES-256-CBC over `16 random bytes ‖ length ‖ message ‖ app id`, padded to 32 bytes.
//!
//! A caller learns nothing from a padding that is wrong: the ciphertext's signature is checked before it is decrypted.

use aes::Aes256;
use base64::{
    Engine, alphabet,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD},
};
use cbc::{
    Decryptor, Encryptor,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::NoPadding},
};
use secrecy::{ExposeSecret, SecretBox};
use serde::Deserialize;

/// Padding is 1 to 32 bytes, though a block of AES has 16.
const PADDED_TO: usize = 32;
/// Random bytes at the start.
const RANDOM: usize = 16;
/// Bytes of the message's length, most significant first.
const LENGTH: usize = 4;
/// The console's text is 43 random letters and digits, so the last one may have bits that no byte takes.
const KEY_TEXT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// The `EncodingAESKey` of WeChat's console: 43 characters, the base64 of 32 bytes without its `=`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct EncodingAesKey(SecretBox<[u8; 32]>);

/// The text is no `EncodingAESKey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an EncodingAESKey has 43 characters of base64")]
pub struct NotAnAesKey;

impl TryFrom<String> for EncodingAesKey {
    type Error = NotAnAesKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = KEY_TEXT.decode(format!("{text}=")).map_err(|_| NotAnAesKey)?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| NotAnAesKey)?;
        Ok(Self(SecretBox::new(Box::new(key))))
    }
}

/// A decrypted message.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    /// The message, in JSON or XML.
    pub message: Vec<u8>,
    /// The app that it is for.
    pub app_id: Vec<u8>,
}

/// Decrypts a message; `None` if it was not made with this key, or was cut.
pub fn open(encrypted: &str, key: &EncodingAesKey) -> Option<Opened> {
    let bytes = STANDARD.decode(encrypted).ok()?;
    let key = key.0.expose_secret();
    let cipher = Decryptor::<Aes256>::new_from_slices(key, key.get(..16)?).ok()?;
    // Fails when the length is no multiple of 16.
    let padded = cipher.decrypt_padded_vec::<NoPadding>(&bytes).ok()?;
    let full = unpad(&padded)?;
    let (_random, rest) = full.split_at_checked(RANDOM)?;
    let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (message, app_id) = rest.split_at_checked(length)?;
    Some(Opened { message: message.to_vec(), app_id: app_id.to_vec() })
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let last = *padded.last()?;
    let pad = usize::from(last);
    let (full, padding) = padded.split_at_checked(padded.len().checked_sub(pad)?)?;
    ((1..=PADDED_TO).contains(&pad) && padding.iter().all(|byte| *byte == last)).then_some(full)
}

/// Encrypts a message as WeChat does: for the stub, and for tests.
pub fn seal(message: &[u8], app_id: &str, random: [u8; RANDOM], key: &EncodingAesKey) -> String {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut full = [&random[..], &length, message, app_id.as_bytes()].concat();
    let pad = PADDED_TO - full.len() % PADDED_TO;
    full.resize(full.len() + pad, u8::try_from(pad).unwrap_or_default());
    let key = key.0.expose_secret();
    let cipher = Encryptor::<Aes256>::new_from_slices(key, &key[..16]).expect("the key has 32 bytes, the vector 16");
    STANDARD.encode(cipher.encrypt_padded_vec::<NoPadding>(&full))
}
