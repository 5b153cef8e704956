//! XML answers in the form that `aws --output json` prints.
//!
//! XML tells neither lists of one from single things, nor numbers from text; the AWS API reference does. What of it the
//! questions need is written down here and beside each call.

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// Deeper than any answer: a document is refused beyond it.
const DEEPEST: usize = 32;

/// Members that are true or false.
const TRUTHS: [&str; 11] = [
    "BlockPublicAcls",
    "BlockPublicPolicy",
    "ExpiredObjectDeleteMarker",
    "IgnorePublicAcls",
    "IsAttachable",
    "IsDefaultVersion",
    "IsLatest",
    "IsPublic",
    "IsTruncated",
    "RestrictPublicBuckets",
    "isDefault",
];

/// Members that are numbers.
const NUMBERS: [&str; 12] = [
    "AttachmentCount",
    "Days",
    "DaysAfterInitiation",
    "MaxKeys",
    "MaxSessionDuration",
    "NewerNoncurrentVersions",
    "NoncurrentDays",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
    "PermissionsBoundaryUsageCount",
    "Size",
    "Years",
];

/// Members that hold a policy, percent-encoded.
const POLICIES: [&str; 3] = ["AssumeRolePolicyDocument", "Document", "PolicyDocument"];

/// What an element is in JSON.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A member of another name.
    Named(&'static str),
    /// One item of the list of this name.
    Repeats(&'static str),
    /// The list of this name, of the elements inside that have the second name.
    Holds(&'static str, &'static str),
}

/// An element.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    /// Its attribute `xsi:type`.
    kind: Option<String>,
    text: String,
    children: Vec<Self>,
}

impl Element {
    /// Reads a document whole; the error says what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|e| e.to_string())? {
                Event::Start(_) if open.len() > DEEPEST => return Err("elements lie too deep".to_owned()),
                Event::Start(start) => open.push(Self::starting(&start)?),
                Event::Empty(start) => Self::close(&mut open, Self::starting(&start)?),
                Event::End(_) => {
                    let ended = open.pop().unwrap_or_default();
                    Self::close(&mut open, ended);
                }
                Event::Text(text) => Self::write(&mut open, &text.decode().map_err(|e| e.to_string())?),
                Event::CData(text) => Self::write(&mut open, &text.decode().map_err(|e| e.to_string())?),
                Event::GeneralRef(reference) => {
                    let name = reference.decode().map_err(|e| e.to_string())?;
                    let escaped = format!("&{name};");
                    Self::write(&mut open, &quick_xml::escape::unescape(&escaped).map_err(|e| e.to_string())?);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        match (open.len(), open.pop().and_then(|mut root| root.children.pop())) {
            (1, Some(root)) => Ok(root),
            _ => Err("it ends in the middle".to_owned()),
        }
    }

    fn starting(start: &BytesStart<'_>) -> Result<Self, String> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        let kind = start.try_get_attribute("xsi:type").map_err(|e| e.to_string())?;
        let kind = kind.map(|attribute| String::from_utf8_lossy(&attribute.value).into_owned());
        Ok(Self { name, kind, ..Self::default() })
    }

    fn close(open: &mut [Self], ended: Self) {
        if let Some(parent) = open.last_mut() {
            parent.children.push(ended);
        }
    }

    fn write(open: &mut [Self], text: &str) {
        if let Some(element) = open.last_mut() {
            element.text.push_str(text);
        }
    }

    /// The element of this name, at whatever depth.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The text of the element of this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.find(name).map(|element| element.text.trim())
    }

    /// What a query API answers: the members of its `…Result` element.
    pub(super) fn result(&self) -> Value {
        let result = self.children.iter().find(|child| child.name.ends_with("Result"));
        result.map_or_else(|| Value::Object(Map::new()), |result| result.members(&[]))
    }

    /// All children as members of an object.
    pub(super) fn members(&self, shapes: &[(&str, Shape)]) -> Value {
        let mut members = Map::new();
        if let Some(kind) = &self.kind {
            members.insert("Type".to_owned(), kind.as_str().into());
        }
        for child in &self.children {
            match self.shape_of(child, shapes) {
                Some(Shape::Named(name)) => {
                    members.insert(name.to_owned(), child.value(shapes));
                }
                Some(Shape::Repeats(name)) => {
                    let list = members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                    list.as_array_mut().into_iter().for_each(|list| list.push(child.value(shapes)));
                }
                Some(Shape::Holds(name, item)) => {
                    let items = child.children.iter().filter(|inner| inner.name == item);
                    members.insert(name.to_owned(), items.map(|inner| inner.value(shapes)).collect());
                }
                // What only EC2's answers have among their members, and the command line leaves out.
                None if child.name == "requestId" => {}
                None => {
                    members.insert(capitalized(&child.name), child.value(shapes));
                }
            }
        }
        Value::Object(members)
    }

    /// A shape by the element's name, or by its parent's and its own.
    fn shape_of(&self, child: &Self, shapes: &[(&str, Shape)]) -> Option<Shape> {
        let is = |path: &str| match path.split_once('/') {
            Some((parent, name)) => parent == self.name && name == child.name,
            None => path == child.name,
        };
        shapes.iter().find(|(path, _)| is(path)).map(|(_, shape)| *shape)
    }

    fn value(&self, shapes: &[(&str, Shape)]) -> Value {
        if self.children.first().is_some_and(|child| child.name == "member") {
            return self.children.iter().map(|item| item.value(shapes)).collect();
        }
        if !self.children.is_empty() || self.kind.is_some() {
            return self.members(shapes);
        }
        let is_empty = self.text.trim().is_empty();
        // Lists have names in the plural; no text that may be empty does.
        if is_empty && (self.name.ends_with('s') || ["List", "Metadata"].iter().any(|end| self.name.ends_with(end))) {
            return Value::Array(Vec::new());
        }
        if is_empty && self.name.ends_with("Configuration") {
            return Value::Object(Map::new());
        }
        leaf(&self.name, &self.text)
    }
}

/// Only EC2 writes names small, and in JSON they are not.
fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn leaf(name: &str, text: &str) -> Value {
    if TRUTHS.contains(&name)
        && let Ok(truth) = text.parse::<bool>()
    {
        return truth.into();
    }
    if NUMBERS.contains(&name)
        && let Ok(number) = text.parse::<u64>()
    {
        return number.into();
    }
    if POLICIES.contains(&name) {
        let decoded = percent_decode_str(text).decode_utf8_lossy();
        return serde_json::from_str(&decoded).unwrap_or_else(|_| decoded.as_ref().into());
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::api::{
        BUCKET_ACL, BUCKET_LIFECYCLE, BUCKET_NOTIFICATION, DESCRIBE_FLOW_LOGS, DESCRIBE_VPCS, Form,
    };
    use super::*;

    fn read(form: Form, xml: &str) -> Value {
        let Form::Xml(_, shapes) = form else { panic!("no XML") };
        Element::parse(xml.as_bytes()).expect("XML").members(shapes)
    }

    #[test]
    fn grants_have_a_type() {
        let xml = r#"<?xml version="1.0"?><AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Owner><ID>o</ID></Owner><AccessControlList><Grant>
            <Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">
            <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission>
            </Grant></AccessControlList></AccessControlPolicy>"#;
        let grantee = json!({"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"});
        let expected = json!({"Owner": {"ID": "o"}, "Grants": [{"Grantee": grantee, "Permission": "READ"}]});
        assert_eq!(read(BUCKET_ACL.form, xml), expected);
    }

    #[test]
    fn one_rule_is_a_list_of_rules() {
        let xml = "<LifecycleConfiguration><Rule><ID>a &amp; b</ID><Status>Enabled</Status><Filter><And>\
            <Prefix>x</Prefix><Tag><Key>k</Key><Value>7</Value></Tag></And></Filter>\
            <Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>";
        let and = json!({"Prefix": "x", "Tags": [{"Key": "k", "Value": "7"}]});
        let rule = json!({"ID": "a & b", "Status": "Enabled", "Filter": {"And": and}, "Expiration": {"Days": 30}});
        assert_eq!(read(BUCKET_LIFECYCLE.form, xml), json!({"Rules": [rule]}));
    }

    #[test]
    fn notifications_have_the_names_of_the_reference() {
        let xml = "<NotificationConfiguration><QueueConfiguration><Id>q</Id><Queue>arn:q</Queue>\
            <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>AWSLogs/</Value>\
            </FilterRule></S3Key></Filter></QueueConfiguration><EventBridgeConfiguration/></NotificationConfiguration>";
        let filter = json!({"Key": {"FilterRules": [{"Name": "prefix", "Value": "AWSLogs/"}]}});
        let queue = json!({"Id": "q", "QueueArn": "arn:q", "Events": ["s3:ObjectCreated:*"], "Filter": filter});
        let found = read(BUCKET_NOTIFICATION.form, xml);
        assert_eq!(found["QueueConfigurations"], json!([queue]));
        assert_eq!(found["EventBridgeConfiguration"], json!({}));
    }

    #[test]
    fn query_results_hold_lists_and_policies() {
        let xml = "<R><GetAccountAuthorizationDetailsResult><IsTruncated>false</IsTruncated><UserDetailList/>\
            <RoleDetailList><member><RoleName>r</RoleName><Path>/</Path><RolePolicyList><member>\
            <PolicyDocument>%7B%22Version%22%3A%222012-10-17%22%7D</PolicyDocument></member></RolePolicyList>\
            </member></RoleDetailList></GetAccountAuthorizationDetailsResult><ResponseMetadata/></R>";
        let policy = json!({"PolicyDocument": {"Version": "2012-10-17"}});
        let role = json!({"RoleName": "r", "Path": "/", "RolePolicyList": [policy]});
        let expected = json!({"IsTruncated": false, "UserDetailList": [], "RoleDetailList": [role]});
        assert_eq!(Element::parse(xml.as_bytes()).expect("XML").result(), expected);
    }

    #[test]
    fn sets_of_ec2_are_lists() {
        let xml = "<DescribeVpcsResponse><requestId>r</requestId><vpcSet><item><vpcId>vpc-1</vpcId>\
            <isDefault>true</isDefault><tagSet><item><key>k</key><value>v</value></item></tagSet></item></vpcSet>\
            </DescribeVpcsResponse>";
        let vpc = json!({"VpcId": "vpc-1", "IsDefault": true, "Tags": [{"Key": "k", "Value": "v"}]});
        assert_eq!(read(DESCRIBE_VPCS.form, xml), json!({"Vpcs": [vpc]}));
        assert_eq!(read(DESCRIBE_FLOW_LOGS.form, "<R><flowLogSet/></R>"), json!({"FlowLogs": []}));
    }

    #[test]
    fn what_is_cut_off_or_too_deep_is_refused() {
        let whole = "<A><B>text</B><C/></A>";
        assert!(Element::parse(whole.as_bytes()).is_ok());
        for end in 0..whole.len() {
            assert!(Element::parse(&whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
        }
        assert!(Element::parse("<a>".repeat(10_000).as_bytes()).is_err());
        assert!(Element::parse(b"<a>\xff</a>").is_err());
        assert!(Element::parse(b"<a>&nothing;</a>").is_err());
    }
}
