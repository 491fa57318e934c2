//! What real Nix makes of the same files and variables (`nix show-config`, `nix config show` in newer versions).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::*;

/// The lists and the words that a command may take from Nix.
const LIST_NAMES: [&str; 4] =
    ["trusted-public-keys", "secret-key-files", "substituters", "trusted-substituters"];

/// One set-up: files below a directory, and variables in which `@` stands for that directory.
struct Case {
    files: &'static [(&'static str, &'static str)],
    variables: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case { files: &[], variables: &[] },
    Case { files: &[("etc/nix.conf", "")], variables: &[("NIX_REMOTE", "daemon")] },
    // Directories, which even root cannot read as files.
    Case {
        files: &[("etc/nix.conf/file", "store = /no\n"), ("more.conf/file", "store = /no\n")],
        variables: &[("NIX_CONFIG", "include @/more.conf\nrequire-sigs = false")],
    },
    Case {
        files: &[("etc/nix.conf", "store = /from/file\nrequire-sigs = false\n")],
        variables: &[("NIX_REMOTE", "daemon")],
    },
    Case {
        files: &[(
            "etc/nix.conf",
            "# only\n  trusted-public-keys   =  a:b   c:d # comment\n\n\trequire-sigs = no\n",
        )],
        variables: &[],
    },
    Case {
        files: &[("etc/nix.conf", "extra-trusted-public-keys = a:b\nextra-binary-cache-public-keys = c:d\n")],
        variables: &[("NIX_CONFIG", "extra-trusted-public-keys = e:f")],
    },
    Case {
        files: &[("etc/nix.conf", "binary-cache-public-keys = a:b\nbinary-caches = http://one http://two\n")],
        variables: &[(
            "NIX_CONFIG",
            "extra-binary-caches = http://three\ntrusted-binary-caches = http://four",
        )],
    },
    Case {
        files: &[("etc/nix.conf", "extra-trusted-public-keys = a:b\ntrusted-public-keys = c:d\n")],
        variables: &[],
    },
    Case { files: &[("etc/nix.conf", "trusted-public-keys =\n")], variables: &[] },
    Case {
        files: &[("etc/nix.conf", "secret-key-files = /a /b\nextra-secret-key-files = /c\n")],
        variables: &[],
    },
    Case {
        files: &[
            ("etc/nix.conf", "include more.conf\nstore = /after\n!include absent.conf\n"),
            ("etc/more.conf", "store = /included\nrequire-sigs = false\ninclude deep/er.conf\n"),
            ("etc/deep/er.conf", "extra-substituters = http://deep\ninclude ../sibling.conf\n"),
            ("etc/sibling.conf", "netrc-file = /sibling/netrc\n"),
        ],
        variables: &[],
    },
    Case {
        files: &[
            ("etc/nix.conf", "store = /system\nrequire-sigs = false\nsubstituters = http://system\n"),
            ("home/.config/nix/nix.conf", "store = /user\nextra-substituters = http://user\n"),
        ],
        variables: &[],
    },
    Case {
        files: &[
            ("etc/nix.conf", "store = /system\n"),
            ("home/.config/nix/nix.conf", "store = /home\n"),
            ("xdg/nix/nix.conf", "store = /xdg\nrequire-sigs = 0\n"),
        ],
        variables: &[("XDG_CONFIG_HOME", "@/xdg")],
    },
    Case {
        files: &[
            ("one/nix/nix.conf", "store = /one\nextra-substituters = http://one\n"),
            ("two/nix/nix.conf", "store = /two\nextra-substituters = http://two\n"),
            ("home/.config/nix/nix.conf", "extra-substituters = http://home\n"),
        ],
        variables: &[("XDG_CONFIG_DIRS", "@/one:@/two")],
    },
    Case {
        files: &[
            ("home/.config/nix/nix.conf", "store = /home\n"),
            ("first.conf", "store = /first\nextra-trusted-public-keys = a:first\n"),
            ("second.conf", "store = /second\nextra-trusted-public-keys = a:second\n"),
        ],
        variables: &[("NIX_USER_CONF_FILES", "@/first.conf:@/absent.conf:@/second.conf")],
    },
    Case {
        files: &[("home/.config/nix/nix.conf", "store = /home\n")],
        variables: &[("NIX_USER_CONF_FILES", "")],
    },
    Case {
        files: &[("etc/nix.conf", "store = /system\n"), ("more.conf", "netrc-file = /more/netrc\n")],
        variables: &[("NIX_CONFIG", "store = /variable\ninclude @/more.conf\nrequire-sigs = true")],
    },
    Case {
        files: &[("etc/nix.conf", "netrc-file = /system/netrc\nextra-store = /x\nunknown = 1\n")],
        variables: &[],
    },
    // What Nix refuses, we refuse.
    Case { files: &[("etc/nix.conf", "store\n")], variables: &[] },
    Case { files: &[("etc/nix.conf", "store /nix\n")], variables: &[] },
    Case { files: &[("etc/nix.conf", "include absent.conf\n")], variables: &[] },
    Case { files: &[("etc/nix.conf", "include = absent.conf\n")], variables: &[] },
    Case { files: &[], variables: &[("NIX_CONFIG", "nonsense")] },
];

/// Runs real Nix; `None` where the machine has none, unless a test run requires it.
fn show_config(variables: &[(String, String)]) -> Option<Option<Value>> {
    let mut command = Command::new("nix");
    command.args(["--extra-experimental-features", "nix-command", "show-config", "--json"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = match command.envs(variables.iter().cloned()).output() {
        Ok(output) => output,
        Err(error) => {
            let required = std::env::var("NARS3_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|name| name.trim() == "nix"), "nix: {error}");
            return None;
        }
    };
    Some(output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap()))
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

#[test]
fn settings_are_what_real_nix_shows() {
    for (number, case) in CASES.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        for (name, text) in case.files {
            let file = directory.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/"))).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let mut variables: Vec<(String, String)> =
            vec![("HOME".into(), format!("{root}/home")), ("NIX_CONF_DIR".into(), format!("{root}/etc"))];
        let own = case.variables.iter().map(|(name, value)| ((*name).to_owned(), value.replace('@', root)));
        variables.extend(own);
        let Some(theirs) = show_config(&variables) else { return };
        let environment = Environment { variables: variables.into_iter().collect() };
        let ours = load_nix_settings(&environment);
        let Some(theirs) = theirs else {
            assert!(ours.is_err(), "case {number}: Nix refuses it");
            continue;
        };
        let ours = ours.unwrap();
        for name in LIST_NAMES {
            assert_eq!(ours.list(name), words(&theirs[name]["value"]), "case {number}: {name}");
        }
        let default_store = ours.default_store(&environment);
        assert_eq!(Value::from(default_store), theirs["store"]["value"], "case {number}: store");
        let required = ours.flag("require-sigs").unwrap().unwrap_or(true);
        assert_eq!(Value::from(required), theirs["require-sigs"]["value"], "case {number}: require-sigs");
        if let Some(netrc) = ours.get("netrc-file") {
            assert_eq!(Value::from(netrc), theirs["netrc-file"]["value"], "case {number}: netrc-file");
        } else {
            assert_eq!(theirs["netrc-file"]["value"], theirs["netrc-file"]["defaultValue"], "case {number}");
        }
    }
}
