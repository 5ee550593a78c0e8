//! The site in Caddy's configuration.

/// The package's file, with the domain of its example.
const SITE: &str = include_str!("../../../../packaging/Caddyfile");
const EXAMPLE: &str = "api.example.com";
/// What Debian's package of Caddy serves before anything is configured.
const PRISTINE: [&str; 4] = [":80 {", "root * /usr/share/caddy", "file_server", "}"];

/// What to do with the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// It has the site.
    There,
    /// It is written with this text.
    Write(String),
    /// It has sites of its own, or this one under another domain: a person adds this text.
    Foreign(String),
}

/// Decides about a file. `None` for one that does not exist.
pub(super) fn site(text: Option<&str>, domain: &str) -> Site {
    let ours = SITE.replace(EXAMPLE, domain);
    let text = text.unwrap_or_default();
    let said: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let has_domain = said.iter().any(|line| line.trim_end_matches('{').split([',', ' ']).any(|name| name == domain));
    if has_domain && text.contains("/run/miniprogram/http.sock") {
        Site::There
    } else if said.is_empty() || said == PRISTINE || text == SITE {
        Site::Write(ours)
    } else {
        Site::Foreign(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_without_sites_of_its_own_is_written() {
        let Site::Write(ours) = site(None, "mini.example.org") else { panic!("a new file is written") };
        assert!(ours.contains("mini.example.org {") && !ours.contains(EXAMPLE));
        let debian =
            "# The Caddyfile is an easy way\n:80 {\n\t# Set this path\n\troot * /usr/share/caddy\n\n\tfile_server\n}\n";
        for text in [debian, SITE, ""] {
            assert_eq!(site(Some(text), "mini.example.org"), Site::Write(ours.clone()));
        }
        assert_eq!(site(Some(&ours), "mini.example.org"), Site::There);
        for text in [ours.as_str(), "shop.example.org {\n\tfile_server\n}\n"] {
            assert!(matches!(site(Some(text), "other.example.org"), Site::Foreign(_)));
        }
    }
}
