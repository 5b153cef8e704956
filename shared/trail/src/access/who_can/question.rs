//! What is asked.

/// An action, and where it matters the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'q> {
    /// `rds:DeleteDBInstance`. `s3:Delete*` asks whether any such action is allowed.
    pub action: &'q str,
    /// An ARN, also with wildcards; `None`: any resource.
    pub resource: Option<&'q str>,
}

/// A question that cannot be asked, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// No service is named.
    #[error("`{0}` names no service: write it as in a policy, such as rds:DeleteDBInstance or s3:Delete*")]
    NoService(String),
    /// What stands before the colon is no service.
    #[error("`{0}` is no service as policies name it: s3, not s3.amazonaws.com and without wildcards")]
    Service(String),
    /// What stands behind the colon is no action.
    #[error("`{0}` is no action: letters and digits, * for any of them and ? for one, such as DeleteDBInstance")]
    Name(String),
    /// No ARN.
    #[error(
        "`{0}` is no ARN: write arn:aws:rds:eu-west-1:111122223333:db:prod, or leave it out to ask about any resource"
    )]
    Resource(String),
}

impl Question<'_> {
    /// Whether it can be asked.
    pub fn check(&self) -> Result<(), QuestionError> {
        let Some((service, name)) = self.action.split_once(':') else {
            return Err(QuestionError::NoService(self.action.to_owned()));
        };
        let is_service = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if service.is_empty() || !service.chars().all(is_service) {
            return Err(QuestionError::Service(service.to_owned()));
        }
        let is_action = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '*' | '?' | '-' | '_');
        if name.is_empty() || !name.chars().all(is_action) {
            return Err(QuestionError::Name(name.to_owned()));
        }
        match self.resource_text() {
            Some(arn) if !arn.starts_with("arn:") || arn.split(':').count() < 6 => {
                Err(QuestionError::Resource(arn.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The resource, unless any will do.
    pub(super) fn resource_text(&self) -> Option<&str> {
        self.resource.filter(|resource| *resource != "*")
    }

    /// The account that the resource belongs to, where its ARN says so.
    pub(super) fn home(&self) -> Option<&str> {
        let account = self.resource_text()?.split(':').nth(4)?;
        (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
    }
}
