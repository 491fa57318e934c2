//! `netrc`: names and passwords by host, in the file format of ftp(1) and curl.

use std::fmt;

use super::WebAccess;

/// The entries of a netrc file.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Entry {
    /// `None` for `default`.
    host: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Netrc {
    /// Reads a file's text. As curl does: words are separated by white space or stand in quotes, unknown words are passed
    /// over, and so is a macro up to its empty line.
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        let mut words = Words { rest: text };
        while let Some(word) = words.next() {
            match word.as_str() {
                "machine" => entries.push(Entry { host: words.next(), ..Entry::default() }),
                "default" => entries.push(Entry::default()),
                "login" => set(&mut entries, |entry| entry.login = words.next()),
                "password" => set(&mut entries, |entry| entry.password = words.next()),
                "account" => drop(words.next()),
                "macdef" => words.skip_macro(),
                _ => {}
            }
        }
        Self { entries }
    }

    /// What the file says of a host; `default` where it says nothing else.
    pub fn access(&self, host: &str) -> WebAccess {
        let named =
            |entry: &&Entry| entry.host.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(host));
        let found = self
            .entries
            .iter()
            .find(named)
            .or_else(|| self.entries.iter().find(|entry| entry.host.is_none()));
        match found {
            Some(entry) if entry.login.is_some() || entry.password.is_some() => WebAccess::Basic {
                user: entry.login.clone().unwrap_or_default(),
                password: entry.password.clone().unwrap_or_default(),
            },
            _ => WebAccess::Anonymous,
        }
    }
}

/// A value before the first machine belongs to nobody.
fn set(entries: &mut [Entry], change: impl FnOnce(&mut Entry)) {
    let mut nobody = Entry::default();
    change(entries.last_mut().unwrap_or(&mut nobody));
}

/// The words of a file.
struct Words<'t> {
    rest: &'t str,
}

impl Words<'_> {
    fn next(&mut self) -> Option<String> {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => break,
            }
        }
        match self.rest.strip_prefix('"') {
            Some(quoted) => {
                let (word, left) = unquote(quoted);
                self.rest = left;
                Some(word)
            }
            None => {
                let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                self.rest = rest;
                (!word.is_empty()).then(|| word.to_owned())
            }
        }
    }

    fn skip_macro(&mut self) {
        self.rest = self.rest.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

/// A word up to its closing quote, with curl's escapes, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => word.push('\n'),
                Some('r') => word.push('\r'),
                Some('t') => word.push('\t'),
                Some(other) => word.push(other),
                None => {}
            },
            other => word.push(other),
        }
    }
    (word, characters.as_str())
}

impl fmt::Debug for Netrc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Netrc({} entries)", self.entries.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, host: &str) -> Option<(String, String)> {
        match Netrc::parse(text).access(host) {
            WebAccess::Basic { user, password } => Some((user, password)),
            _ => None,
        }
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn hosts_have_names_and_passwords_of_their_own() {
        let text = "# a comment\nmachine one.example login me password secret\n\
                    machine Two.example\n  login you\n  password \"with \\\"quotes\\\" and blanks\"\n";
        assert_eq!(found(text, "one.example"), pair("me", "secret"));
        assert_eq!(found(text, "two.example"), pair("you", "with \"quotes\" and blanks"));
        assert_eq!(found(text, "three.example"), None);
        assert_eq!(found(text, "one"), None);
    }

    #[test]
    fn what_is_for_all_others_comes_last_and_macros_are_no_words() {
        let text = "default login anonymous password x\nmacdef init\nmachine evil login a password b\n\n\
                    machine one login me account ignored password secret";
        assert_eq!(found(text, "one"), pair("me", "secret"));
        assert_eq!(found(text, "evil"), pair("anonymous", "x"));
    }

    #[test]
    fn a_token_needs_no_name() {
        assert_eq!(found("machine cachix.example password token", "cachix.example"), pair("", "token"));
        assert_eq!(found("machine empty.example", "empty.example"), None);
    }

    #[test]
    fn whatever_the_file_there_is_an_end() {
        for text in
            ["", "machine", "login x", "machine a login", "\"", "machine \"a\\", "password", "#", "macdef"]
        {
            assert_eq!(found(text, "a"), None, "{text:?}");
        }
        assert_eq!(format!("{:?}", Netrc::parse("machine a login b password c")), "Netrc(1 entries)");
    }
}
