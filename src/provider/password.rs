//! The account's password, read at each login, so that a rotated one is taken up.

use crate::model::Secret;
use crate::settings::PasswordFrom;

/// The password, or why there is none, for a person.
pub(super) async fn read(from: &PasswordFrom) -> Result<Secret, String> {
    match from {
        PasswordFrom::Given(secret) => Ok(secret.clone()),
        PasswordFrom::Env(name) => std::env::var(name)
            .map(Secret::new)
            .map_err(|_| format!("the environment variable {name}, which should hold the password, is not set")),
        PasswordFrom::File(path) => {
            let text = tokio::fs::read_to_string(path)
                .await
                .map_err(|error| format!("the password file {} cannot be read: {error}", path.display()))?;
            Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
        }
    }
}
