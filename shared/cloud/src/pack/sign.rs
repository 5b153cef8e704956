//! Who signs packs: a key of KMS that nobody can take out, or on one machine a key in a file.
//!
//! ECDSA over P-256 with SHA-256. The signature is DER with the smaller of the two values that fit: of the other one,
//! which anybody can compute, a second archive could be made that differs and passes.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::identity::Identity;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};
use trail::record::{digest, hex};

use super::manifest::KeyFacts;
use crate::collect::endpoint::Endpoints;
use crate::error::Error;
use crate::wire::{self, Request};

/// What stands in front of a point of P-256 in a `SubjectPublicKeyInfo` (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Bytes of an uncompressed point.
const POINT: usize = 65;

/// The order of P-256 (FIPS 186-4, D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// How long KMS may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// So often KMS is asked.
const ATTEMPTS: u32 = 4;

/// The name of a key that lies in a file.
const LOCAL: &str = "local";

/// A public key over P-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    der: Vec<u8>,
}

impl PublicKey {
    /// A key as `SubjectPublicKeyInfo` in DER; none unless it is one over P-256.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let is_one = der.len() == SPKI.len() + POINT && der.starts_with(&SPKI) && der[SPKI.len()] == 4;
        is_one.then(|| Self { der: der.to_vec() })
    }

    /// A key in PEM; lines may be of any length.
    pub fn from_pem(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
        let letters: String = body.split_whitespace().collect();
        Self::from_der(&STANDARD.decode(letters).ok()?)
    }

    /// The key in PEM, as `openssl` writes it.
    pub fn pem(&self) -> String {
        let letters = STANDARD.encode(&self.der);
        let (first, second) = letters.split_at(letters.len().min(64));
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
    }

    /// SHA-256 of the key's DER: what people compare.
    pub fn fingerprint(&self) -> String {
        hex(&digest(&self.der))
    }

    /// Whether a signature over a message is this key's, and of the one form that is taken.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let point = self.der.get(SPKI.len()..).unwrap_or_default();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point);
        key.verify(message, signature).is_ok() && lower(signature).is_some_and(|lower| lower == signature)
    }
}

/// A signature whose second value is the smaller of the two that fit; none if it is no signature.
fn lower(signature: &[u8]) -> Option<Vec<u8>> {
    let body = signature.strip_prefix(&[0x30])?;
    let (length, values) = body.split_first()?;
    if usize::from(*length) != values.len() {
        return None;
    }
    let (first, rest) = integer(values)?;
    let (second, []) = integer(rest)? else { return None };
    let other = minus(&ORDER, &second);
    let values = [integer_der(&first), integer_der(&second.min(other))].concat();
    let mut der = vec![0x30, u8::try_from(values.len()).ok()?];
    der.extend(values);
    Some(der)
}

/// The first integer of DER as 32 bytes, and what follows.
fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    let mut wide = [0; 32];
    wide.get_mut(32_usize.checked_sub(value.len())?..)?.copy_from_slice(value);
    Some((wide, rest))
}

fn integer_der(value: &[u8; 32]) -> Vec<u8> {
    let start = value.iter().position(|byte| *byte != 0).unwrap_or(31);
    let value = &value[start..];
    let sign = value.first().is_some_and(|byte| *byte >= 0x80).then_some(0);
    let bytes: Vec<u8> = sign.into_iter().chain(value.iter().copied()).collect();
    [vec![0x02, u8::try_from(bytes.len()).unwrap_or(u8::MAX)], bytes].concat()
}

/// `larger - smaller`, both big-endian.
fn minus(larger: &[u8; 32], smaller: &[u8; 32]) -> [u8; 32] {
    let mut difference = [0; 32];
    let mut borrow = false;
    for index in (0..32).rev() {
        let (value, first) = larger[index].overflowing_sub(smaller[index]);
        let (value, second) = value.overflowing_sub(u8::from(borrow));
        difference[index] = value;
        borrow = first || second;
    }
    difference
}

/// Signs packs.
#[derive(Debug)]
pub struct Signer {
    key: PublicKey,
    facts: KeyFacts,
    hand: Hand,
}

enum Hand {
    Local(Box<EcdsaKeyPair>),
    Kms(Box<Kms>),
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local(_) => "Local",
            Self::Kms(_) => "Kms",
        })
    }
}

/// A key of KMS, and the way to it.
struct Kms {
    config: SdkConfig,
    key: String,
}

impl Signer {
    /// The key in a file (PKCS #8), made if it is not there, for its owner alone.
    pub fn local(path: &Path, account: &str) -> Result<Self, Error> {
        let problem = |why: &dyn fmt::Display| Error::Pack(format!("its key {}: {why}", path.display()));
        let pkcs8 = match std::fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => make(path).map_err(|e| problem(&e))?,
            read => read.map_err(|e| problem(&e))?,
        };
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new());
        let pair = pair.map_err(|e| problem(&format!("{e}; move it away, and a new one is made")))?;
        let der = [&SPKI, pair.public_key().as_ref()].concat();
        let key = PublicKey::from_der(&der).ok_or_else(|| problem(&"no point of P-256"))?;
        Ok(Self::new(key, (LOCAL, account), Hand::Local(Box::new(pair))))
    }

    /// A key of KMS: id, ARN or alias, of the kind `ECC_NIST_P256`, for `SIGN_VERIFY`.
    pub async fn kms(config: &SdkConfig, key_id: &str) -> Result<Self, Error> {
        let kms = Kms { config: config.clone(), key: key_id.to_owned() };
        let answer = kms.ask("GetPublicKey", &json!({"KeyId": key_id})).await?;
        let der = text(&answer, "PublicKey").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        let key = PublicKey::from_der(&der).ok_or_else(|| {
            let wanted = "packs are signed with ECC_NIST_P256 for SIGN_VERIFY";
            Error::Pack(format!("KMS key {key_id} is {}: {wanted}", text(&answer, "KeySpec").unwrap_or("of no kind")))
        })?;
        let told = text(&answer, "KeyId").into_iter().chain([key_id]);
        let arn = told.clone().find(|id| id.starts_with("arn:")).or_else(|| told.clone().next()).unwrap_or(key_id);
        let account = arn.split(':').nth(4).unwrap_or_default();
        Ok(Self::new(key, (arn, account), Hand::Kms(Box::new(kms))))
    }

    fn new(key: PublicKey, (id, account): (&str, &str), hand: Hand) -> Self {
        let facts = KeyFacts {
            id: id.to_owned(),
            account: account.to_owned(),
            algorithm: "ECDSA_SHA_256".to_owned(),
            sha256: key.fingerprint(),
        };
        Self { key, facts, hand }
    }

    /// The public half.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What a manifest says of the key.
    pub fn facts(&self) -> &KeyFacts {
        &self.facts
    }

    /// Signs a message.
    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = match &self.hand {
            Hand::Local(pair) => {
                let signed = pair.sign(&SystemRandom::new(), message);
                signed.map_err(|_| Error::Pack("it cannot be signed".to_owned()))?.as_ref().to_vec()
            }
            Hand::Kms(kms) => kms.sign(message).await?,
        };
        let signature = lower(&signature).unwrap_or_default();
        if self.key.verifies(message, &signature) {
            return Ok(signature);
        }
        Err(Error::Pack(format!("the signature of {} is not its key's", self.facts.id)))
    }
}

/// Makes a key. Whoever else may read the folder cannot read it, and of two who make one at once the second fails.
fn make(path: &Path) -> std::io::Result<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
        .map_err(|_| std::io::Error::other("no key can be made"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(document.as_ref())?;
    file.sync_all()?;
    Ok(document.as_ref().to_vec())
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

impl Kms {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let asked = json!({
            "KeyId": self.key, "Message": STANDARD.encode(digest(message)), "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        });
        let answer = self.ask("Sign", &asked).await?;
        let signature = text(&answer, "Signature").and_then(|text| STANDARD.decode(text).ok());
        signature.ok_or_else(|| Error::Pack(format!("KMS gave no signature of {}", self.key)))
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Value, Error> {
        let mut attempt = 1;
        loop {
            match self.once(operation, body).await {
                Err((true, _)) if attempt < ATTEMPTS => {
                    tokio::time::sleep(Duration::from_millis(200 << attempt)).await;
                    attempt += 1;
                }
                Err((_, why)) => return Err(Error::Pack(format!("KMS {operation} with {}: {why}", self.key))),
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// One question; of a failure also whether it may pass.
    async fn once(&self, operation: &str, body: &Value) -> Result<Value, (bool, String)> {
        let lasting = |why: String| (false, why);
        let provider = self.config.credentials_provider().ok_or_else(|| lasting("there are no credentials".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|e| lasting(e.to_string()))?;
        let endpoints = Endpoints::new(&self.config);
        let request = Request {
            service: "kms",
            signing_region: endpoints.region.clone(),
            method: "POST",
            url: format!("{}/", endpoints.address("kms")),
            headers: vec![
                ("content-type", "application/x-amz-json-1.1".to_owned()),
                ("x-amz-target", format!("TrentService.{operation}")),
            ],
            body: Bytes::from(body.to_string()),
        };
        let signed = request.signed(&Identity::from(credentials)).map_err(lasting)?;
        let connector = wire::connector(&self.config, ANSWER).map_err(|e| lasting(e.to_string()))?;
        let response = connector.call(signed).await.map_err(|e| (true, e.to_string()))?;
        let status = response.status().as_u16();
        let bytes = wire::body(response, 1 << 20).await.map_err(|_| (true, "the answer breaks off".to_owned()))?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status == 200 {
            return Ok(answer);
        }
        let code = text(&answer, "__type").unwrap_or("no answer");
        let said = text(&answer, "message").or_else(|| text(&answer, "Message")).unwrap_or_default();
        let passing = status >= 500 || code.contains("Throttling") || code.contains("LimitExceeded");
        Err((passing, format!("{code} {said}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_local_key_is_made_once_and_for_its_owner_alone() {
        let folder = folder();
        let path = folder.path().join("pack-key.p8");
        let first = Signer::local(&path, "111122223333").unwrap();
        let again = Signer::local(&path, "111122223333").unwrap();
        assert_eq!(first.key(), again.key());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let signature = first.sign(b"message").await.unwrap();
        assert!(again.key().verifies(b"message", &signature));
        assert!(!again.key().verifies(b"massage", &signature));
        std::fs::write(&path, b"garbage").unwrap();
        assert!(Signer::local(&path, "").unwrap_err().to_string().contains("a new one is made"));
    }

    #[tokio::test]
    async fn the_other_value_that_fits_is_refused() {
        let signer = Signer::local(&folder().path().join("key"), "").unwrap();
        for number in 0..20_u8 {
            let signature = signer.sign(&[number]).await.unwrap();
            let (first, rest) = integer(&signature[2..]).unwrap();
            let (second, _) = integer(rest).unwrap();
            let values = [integer_der(&first), integer_der(&minus(&ORDER, &second))].concat();
            let other = [vec![0x30, u8::try_from(values.len()).unwrap()], values].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &signer.key.der[SPKI.len()..]);
            assert!(key.verify(&[number], &other).is_ok(), "as ECDSA has it, it fits");
            assert!(!signer.key().verifies(&[number], &other));
            assert_eq!(lower(&other), Some(signature));
        }
    }

    /// A KMS that is busy at first, and signs this message alone.
    async fn kms(message: &'static [u8], signer: Signer) -> SdkConfig {
        use crate::testing::{read, write};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut asked = 0;
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                assert!(request.header("authorization").is_some_and(|said| said.contains("/kms/aws4_request")));
                asked += 1;
                let arn = "arn:aws:kms:eu-west-1:111122223333:key/1";
                let answer = match request.header("x-amz-target").unwrap() {
                    _ if asked == 1 => (400, json!({"__type": "ThrottlingException", "message": "busy"})),
                    _ if body["KeyId"] == "alias/none" => (400, json!({"__type": "NotFoundException"})),
                    "TrentService.GetPublicKey" => {
                        (200, json!({"KeyId": arn, "PublicKey": STANDARD.encode(&signer.key.der)}))
                    }
                    _ => {
                        assert_eq!(body["Message"], STANDARD.encode(digest(message)));
                        assert_eq!(
                            (&body["MessageType"], &body["SigningAlgorithm"]),
                            (&json!("DIGEST"), &json!("ECDSA_SHA_256"))
                        );
                        (200, json!({"Signature": STANDARD.encode(signer.sign(message).await.unwrap())}))
                    }
                };
                write(stream, (answer.0, answer.1.to_string())).await;
            }
        });
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(url);
        let config = config.region(aws_config::Region::new("eu-west-1"));
        config.credentials_provider(aws_credential_types::Credentials::new("a", "b", None, None, "test")).load().await
    }

    #[tokio::test]
    async fn kms_signs_the_digest_and_the_account_is_that_of_the_keys_arn() {
        let folder = folder();
        let config = kms(b"message", Signer::local(&folder.path().join("key"), "").unwrap()).await;
        let signer = Signer::kms(&config, "alias/packs").await.unwrap();
        let facts = signer.facts();
        assert_eq!(
            (facts.account.as_str(), facts.id.as_str()),
            ("111122223333", "arn:aws:kms:eu-west-1:111122223333:key/1")
        );
        let signature = signer.sign(b"message").await.unwrap();
        assert!(signer.key().verifies(b"message", &signature));
        let error = Signer::kms(&config, "alias/none").await.unwrap_err().to_string();
        assert!(error.contains("KMS GetPublicKey with alias/none: NotFoundException"), "{error}");
    }

    #[test]
    fn a_key_goes_through_pem() {
        let signer = Signer::local(&folder().path().join("key"), "").unwrap();
        assert_eq!(PublicKey::from_pem(&signer.key().pem()).as_ref(), Some(signer.key()));
        assert_eq!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), None);
        assert_eq!(PublicKey::from_pem(""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            lower(&bytes);
            PublicKey::from_der(&bytes);
            PublicKey::from_pem(&String::from_utf8_lossy(&bytes));
        }
    }
}
