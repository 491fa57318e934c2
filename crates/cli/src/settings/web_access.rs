//! Who this machine is to a cache on a web server.

use std::path::PathBuf;

use nars3_s3::{Netrc, WebAccess};
use nars3_store_url::HttpSettings;

use super::{Environment, NixSettings};
use crate::error::{CliError, CliResult, ResultExt};

/// The first of these counts: the file of `bearer-token-file`, name and password in the URL, Nix's `netrc-file`. The
/// last is asked for the host of the cache only.
pub(crate) async fn web_access(
    settings: &HttpSettings,
    environment: &Environment,
    nix: &NixSettings,
) -> CliResult<WebAccess> {
    if let Some(file) = &settings.bearer_token_file {
        let text = tokio::fs::read_to_string(file)
            .await
            .context(|| format!("cannot read the token in '{}'", file.display()))?;
        return match text.trim() {
            "" => Err(CliError::new(format!("there is no token in '{}'", file.display()))),
            token => Ok(WebAccess::Bearer { token: token.to_owned() }),
        };
    }
    if let Some(credentials) = settings.url.credentials() {
        return Ok(WebAccess::Basic {
            user: credentials.user().to_owned(),
            password: credentials.password().unwrap_or_default().to_owned(),
        });
    }
    Ok(netrc(environment, nix).await?.access(&settings.url.authority.host.to_string()))
}

/// Nix's own netrc file, which need not be there, nor be for this user.
async fn netrc(environment: &Environment, nix: &NixSettings) -> CliResult<Netrc> {
    let named = nix.get("netrc-file").map(PathBuf::from);
    let is_named = named.is_some();
    let file = named.unwrap_or_else(|| {
        environment.path("NIX_CONF_DIR").unwrap_or_else(|| PathBuf::from("/etc/nix")).join("netrc")
    });
    match tokio::fs::read_to_string(&file).await {
        Ok(text) => Ok(Netrc::parse(&text)),
        Err(error) if is_named && error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot read the netrc-file '{}'", file.display()))
        }
        Err(error) => {
            tracing::debug!(file = %file.display(), %error, "no netrc file");
            Ok(Netrc::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::load_nix_settings;
    use nars3_store_url::{StoreKind, StoreUrl};

    async fn access(url: &str, netrc: &str) -> CliResult<WebAccess> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("netrc"), netrc).unwrap();
        std::fs::write(directory.path().join("token"), "t0ken\n").unwrap();
        let text = directory.path().to_str().unwrap();
        let environment = Environment::from([("NIX_CONF_DIR", text)]);
        let url: StoreUrl = url.replace("DIR", text).parse().unwrap();
        let StoreKind::Http(settings) = &url.kind else { panic!("{url}") };
        web_access(settings, &environment, &load_nix_settings(&environment).unwrap()).await
    }

    #[tokio::test]
    async fn the_token_the_url_and_netrc_count_in_this_order() {
        let netrc = "machine c.example login me password secret";
        let token = access("https://you:pw@c.example?bearer-token-file=DIR/token", netrc).await.unwrap();
        assert!(matches!(token, WebAccess::Bearer { token } if token == "t0ken"));
        let in_url = access("https://you:p%40w@c.example", netrc).await.unwrap();
        assert!(matches!(in_url, WebAccess::Basic { user, password } if user == "you" && password == "p@w"));
        let in_file = access("https://c.example:8443/cache", netrc).await.unwrap();
        assert!(
            matches!(in_file, WebAccess::Basic { user, password } if user == "me" && password == "secret")
        );
        assert!(matches!(access("https://d.example", netrc).await.unwrap(), WebAccess::Anonymous));
        let error = access("https://c.example?bearer-token-file=DIR/absent", netrc).await.unwrap_err();
        assert!(error.to_string().contains("absent"), "{error}");
    }
}
