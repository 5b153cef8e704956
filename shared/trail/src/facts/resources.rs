//! What a call is about: the ARNs, ids and names in its request and response, and what else is found on the way there.

use std::borrow::Cow;

use crate::resource_type::{Look, Parameters};

/// How many resources of a record are kept.
const MOST: usize = 64;

/// Texts longer than this name nothing: the longest ARNs have 2048 bytes.
const LONGEST: usize = 2048;

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'k> {
    part: Part,
    key: &'k str,
    parent: &'k str,
    /// 0 is the part itself, 1 its members.
    depth: u8,
}

/// The members of a record in which resources are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `resources`.
    Listed,
    /// `requestParameters`.
    Request,
    /// `responseElements`.
    Response,
    /// `serviceEventDetails`.
    Details,
}

impl<'k> Place<'k> {
    pub(super) fn of(part: Part) -> Self {
        Self { part, key: "", parent: "", depth: 0 }
    }

    /// A member of the object here. What only wraps a value goes by the name of what it wraps: see [`crate::shape`].
    #[inline]
    pub(super) fn member(self, key: &'k str) -> Self {
        match key {
            "content" | "items" | "Items" | "item" | "member" => self,
            _ => Self { part: self.part, key, parent: self.key, depth: self.depth.saturating_add(1) },
        }
    }

    /// Whether what is nested here names other things than those the call is about: tags, and policies.
    pub(super) fn is_left_out(self) -> bool {
        const ENDS: [&str; 5] = ["Tags", "TagSet", "TagList", "TagSpecificationSet", "Statement"];
        let begins_with_tag = self.key.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("tag"));
        begins_with_tag || ENDS.iter().any(|end| self.key.ends_with(end))
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Harvest<'s> {
    /// `eventName`.
    name: &'s str,
    parameters: Parameters<'s>,
    /// `arn:aws:s3:::`, where the call is one of S3.
    of_bucket: Option<&'static str>,
    bucket: Cow<'s, str>,
    object: Cow<'s, str>,
    /// Whether the record says the types itself.
    has_types: bool,
    pub(super) resources: Vec<Cow<'s, str>>,
    pub(super) types: Vec<Cow<'s, str>>,
    /// The access key that the call gave out.
    pub(super) issued_key: Cow<'s, str>,
    /// The `sourceIdentity` that is asked for.
    pub(super) source_identity: Cow<'s, str>,
    /// What a sign-in says came of it.
    pub(super) result: Cow<'s, str>,
}

impl<'s> Harvest<'s> {
    /// Nothing yet, of a call of this service, by this name, in this region.
    pub(super) fn new(source: &'s str, name: &'s str, region: &str) -> Self {
        let service = source.split('.').next().unwrap_or_default();
        Self {
            name,
            parameters: Parameters::of(service, name),
            of_bucket: (service == "s3").then(|| of_bucket(region)),
            bucket: Cow::default(),
            object: Cow::default(),
            has_types: false,
            resources: Vec::new(),
            types: Vec::new(),
            issued_key: Cow::default(),
            source_identity: Cow::default(),
            result: Cow::default(),
        }
    }

    /// Takes up a text. The parts come in the order in which [`Part`] lists them.
    #[inline]
    pub(super) fn take(&mut self, place: Place<'_>, text: Cow<'s, str>) {
        if let Some(own) = self.place_of_its_own(place) {
            own.clone_from(&text);
        }
        match place.part {
            Part::Listed => self.listed(place, text),
            Part::Request | Part::Response => self.named(place, text),
            Part::Details => {}
        }
    }

    /// Where a text goes that is looked for by itself.
    #[inline]
    fn place_of_its_own(&mut self, place: Place<'_>) -> Option<&mut Cow<'s, str>> {
        let of_credentials = || matches!(place.parent, "credentials" | "accessKey" | "roleCredentials");
        match (place.part, place.depth, place.key) {
            (Part::Request, 1, "key") if self.of_bucket.is_some() => Some(&mut self.object),
            (Part::Request, 1, "bucketName") if self.of_bucket.is_some() => Some(&mut self.bucket),
            (Part::Request, 1, "sourceIdentity") => Some(&mut self.source_identity),
            (Part::Response, 2, "accessKeyId") if of_credentials() => Some(&mut self.issued_key),
            (Part::Response, 1, key) if key == self.name => Some(&mut self.result),
            (Part::Details, 1, key) if key == self.name && self.result.is_empty() => Some(&mut self.result),
            _ => None,
        }
    }

    /// Whatever looks like a resource, or is called so by the service.
    fn named(&mut self, place: Place<'_>, text: Cow<'s, str>) {
        let found = match Look::at(&text) {
            Look::Resource(found) => found,
            Look::Other => match self.parameters.type_of(place.key, place.depth == 1) {
                Some(found) if is_name(&text) => Some(found),
                _ => return,
            },
        };
        self.add(text);
        if let Some(name) = found.filter(|_| !self.has_types) {
            self.add_type(name.into());
        }
    }

    fn listed(&mut self, place: Place<'_>, text: Cow<'s, str>) {
        match place.key {
            "ARN" | "ARNPrefix" | "arn" => self.add(text),
            "type" => {
                self.has_types = true;
                self.add_type(text);
            }
            _ => {}
        }
    }

    /// An object of S3 goes by its ARN: the record has it, or bucket and key make it.
    pub(super) fn finish(&mut self) {
        let Some(of_bucket) = self.of_bucket else { return };
        if self.bucket.is_empty() || self.object.is_empty() || self.has_object() {
            return;
        }
        self.add(format!("{of_bucket}{}/{}", self.bucket, self.object).into());
        if !self.has_types {
            self.add_type("AWS::S3::Object".into());
        }
    }

    fn has_object(&self) -> bool {
        let is_it = |arn: &str| {
            let before = arn.strip_suffix(&*self.object).and_then(|rest| rest.strip_suffix('/'));
            before.and_then(|rest| rest.strip_suffix(&*self.bucket)).is_some_and(|rest| rest.ends_with(":::"))
        };
        self.resources.iter().any(|arn| is_it(arn))
    }

    fn add(&mut self, text: Cow<'s, str>) {
        if self.resources.len() < MOST && is_name(&text) && text.len() <= LONGEST && !self.resources.contains(&text) {
            self.resources.push(text);
        }
    }

    fn add_type(&mut self, name: Cow<'s, str>) {
        if self.types.len() < MOST && is_name(&name) && !self.types.contains(&name) {
            self.types.push(name);
        }
    }
}

fn of_bucket(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "arn:aws-cn:s3:::",
        _ if region.starts_with("us-gov-") => "arn:aws-us-gov:s3:::",
        _ => "arn:aws:s3:::",
    }
}

/// Neither empty nor hidden (`***`, `HIDDEN_DUE_TO_SECURITY_REASONS`, `<sensitiveDataRemoved>`) nor a document.
fn is_name(text: &str) -> bool {
    !matches!(text.as_bytes().first(), None | Some(b'*' | b'<' | b'{')) && text != "HIDDEN_DUE_TO_SECURITY_REASONS"
}
