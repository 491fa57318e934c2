//! The hash of a derivation modulo its inputs: a name for what it does, whatever the paths are by which it gets there. By it
//! the outputs are known of derivations whose output paths depend on contents (Nix 2.29 `derivations.cc`,
//! `hashDerivationModulo` and `staticOutputHashes`).
//!
//! It is the SHA-256 of the derivation's text with each input derivation replaced by the hash of that, and, at the top, with
//! the paths of its own outputs left empty. A derivation whose output has a hash that was fixed before is known by that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nars3_store_path::{Algorithm, Hash};

use super::{Derivation, DerivationError, Output};

/// What stands for the hash of an output that every build makes anew.
const IMPURE: &str = "impure";

impl Derivation {
    /// The hash by which its output is known, as in `DrvOutput`. `inputs` has the derivations that it needs, and those that
    /// they need, by the paths under which they are named.
    ///
    /// # Errors
    /// `DerivationError::UnknownInput` when `inputs` lacks one, `Cycle` when they lead back to themselves.
    pub fn output_hash(
        &self,
        output: &str,
        inputs: &HashMap<String, Derivation>,
    ) -> Result<Hash, DerivationError> {
        let known = match self.fixed_output() {
            Some(_) => HashMap::new(),
            None => hashes_of_inputs(self, inputs)?,
        };
        let hashes = hashes(self, &known, true)?;
        hashes.of(output).ok_or_else(|| DerivationError::UnknownInput {
            derivation: "itself".to_owned(),
            output: output.to_owned(),
        })
    }

    fn fixed_output(&self) -> Option<&Output> {
        self.outputs.iter().find(|output| !output.hash.is_empty() && output.hash != IMPURE)
    }

    /// Its text, with other input derivations, and without the paths of its own outputs if they are `masked`.
    fn print(&self, inputs: &BTreeMap<String, BTreeSet<&str>>, masked: bool) -> String {
        let mut text = String::from("Derive(");
        list(&mut text, '[', ']', &self.outputs, |text, output| {
            let path = if masked { "" } else { &output.path };
            strings(text, '(', ')', [output.name.as_str(), path, &output.method, &output.hash]);
        });
        text.push(',');
        list(&mut text, '[', ']', inputs, |text, (hash, outputs)| {
            text.push('(');
            string(text, hash);
            text.push(',');
            strings(text, '[', ']', outputs.iter().copied());
            text.push(')');
        });
        text.push(',');
        strings(&mut text, '[', ']', self.input_sources.iter().map(String::as_str));
        text.push(',');
        string(&mut text, &self.platform);
        text.push(',');
        string(&mut text, &self.builder);
        text.push(',');
        strings(&mut text, '[', ']', self.arguments.iter().map(String::as_str));
        text.push(',');
        list(&mut text, '[', ']', &self.environment, |text, (name, value)| {
            let is_path = masked && self.outputs.iter().any(|output| output.name == *name);
            strings(text, '(', ')', [name.as_str(), if is_path { "" } else { value }]);
        });
        text.push(')');
        text
    }
}

/// The hash of each output.
#[derive(Debug)]
enum Hashes {
    /// One for all that there are.
    Same(Hash, BTreeSet<String>),
    /// Each has its own, as it was fixed before.
    Each(BTreeMap<String, Hash>),
}

impl Hashes {
    fn of(&self, output: &str) -> Option<Hash> {
        match self {
            Self::Same(hash, names) => names.contains(output).then_some(*hash),
            Self::Each(hashes) => hashes.get(output).copied(),
        }
    }
}

/// The hashes of a derivation, once those of its inputs are `known`.
fn hashes(
    derivation: &Derivation,
    known: &HashMap<&str, Hashes>,
    masked: bool,
) -> Result<Hashes, DerivationError> {
    if derivation.fixed_output().is_some() {
        let hash = |Output { name, path, method, hash }: &Output| {
            let text = format!("fixed:out:{method}:{hash}:{path}");
            (name.clone(), Hash::digest(Algorithm::Sha256, text.as_bytes()))
        };
        return Ok(Hashes::Each(derivation.outputs.iter().map(hash).collect()));
    }
    let mut inputs: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (path, outputs) in &derivation.input_derivations {
        for output in outputs {
            let hash = known.get(path.as_str()).and_then(|hashes| hashes.of(output));
            let hash = hash.ok_or_else(|| DerivationError::UnknownInput {
                derivation: path.clone(),
                output: output.clone(),
            })?;
            inputs.entry(hash.base16_digest()).or_default().insert(output);
        }
    }
    let hash = Hash::digest(Algorithm::Sha256, derivation.print(&inputs, masked).as_bytes());
    Ok(Hashes::Same(hash, derivation.outputs.iter().map(|output| output.name.clone()).collect()))
}

/// The hashes of all that `derivation` needs, each after what it needs itself.
fn hashes_of_inputs<'a>(
    derivation: &'a Derivation,
    inputs: &'a HashMap<String, Derivation>,
) -> Result<HashMap<&'a str, Hashes>, DerivationError> {
    let mut known: HashMap<&str, Hashes> = HashMap::new();
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = needed_by(derivation).collect();
    while let Some(&path) = open.last() {
        if known.contains_key(path) {
            open.pop();
            continue;
        }
        let input = inputs.get(path).ok_or_else(|| DerivationError::UnknownInput {
            derivation: path.to_owned(),
            output: "*".to_owned(),
        })?;
        // What is fixed is known without its inputs.
        let unknown: Vec<&str> = match input.fixed_output() {
            Some(_) => Vec::new(),
            None => needed_by(input).filter(|path| !known.contains_key(path)).collect(),
        };
        if unknown.is_empty() {
            open.pop();
            known.insert(path, hashes(input, &known, false)?);
        } else if begun.insert(path) {
            open.extend(unknown);
        } else {
            return Err(DerivationError::Cycle);
        }
    }
    Ok(known)
}

fn needed_by(derivation: &Derivation) -> impl Iterator<Item = &str> {
    derivation.input_derivations.iter().map(|(path, _)| path.as_str())
}

fn list<T>(
    text: &mut String,
    open: char,
    close: char,
    elements: impl IntoIterator<Item = T>,
    mut print: impl FnMut(&mut String, T),
) {
    text.push(open);
    for (place, element) in elements.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        print(text, element);
    }
    text.push(close);
}

fn strings<'a>(text: &mut String, open: char, close: char, strings: impl IntoIterator<Item = &'a str>) {
    list(text, open, close, strings, string);
}

fn string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "/nix/store/00000000000000000000000000000000";

    fn read(text: &str) -> Derivation {
        Derivation::read(text.as_bytes()).expect("well-formed")
    }

    fn floating(needs: &str) -> Derivation {
        read(&format!(
            r#"Derive([("out","","r:sha256","")],[{needs}],["{STORE}-b"],"any","/bin/sh",["-c","a \"b\"\n"],[("out","/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),("x","")])"#
        ))
    }

    /// What is printed with the inputs as they are is what was read.
    #[test]
    fn the_text_comes_out_as_it_went_in() {
        let text = format!(
            r#"Derive([("dev","{STORE}-x-dev","",""),("out","{STORE}-x","","")],[("{STORE}-a.drv",["dev","out"])],["{STORE}-b"],"any","/bin/sh",["-c","a \"b\"\\n\n\r\t"],[("out","{STORE}-x"),("x","")])"#
        );
        let inputs = BTreeMap::from([(format!("{STORE}-a.drv"), BTreeSet::from(["dev", "out"]))]);
        assert_eq!(read(&text).print(&inputs, false), text);
    }

    #[test]
    fn an_input_is_known_by_what_it_does() {
        let path = |name: &str| format!("{STORE}-{name}.drv");
        let needs = |name: &str| format!(r#"("{}",["out"])"#, path(name));
        // The same input by two paths.
        let inputs: HashMap<String, Derivation> =
            [path("a"), path("b")].into_iter().map(|path| (path, floating(""))).collect();
        let hash = |needs: &str| floating(needs).output_hash("out", &inputs);
        let by_a = hash(&needs("a")).expect("known");
        assert_eq!(by_a, hash(&needs("b")).expect("known"));
        assert_ne!(by_a, hash("").expect("known"));
        assert!(matches!(hash(&needs("c")), Err(DerivationError::UnknownInput { .. })));
    }

    #[test]
    fn a_fixed_output_needs_no_inputs() {
        let text = format!(
            r#"Derive([("out","{STORE}-x","r:sha256","00")],[("{STORE}-none.drv",["out"])],[],"any","/bin/sh",[],[])"#
        );
        read(&text).output_hash("out", &HashMap::new()).expect("known by its hash alone");
        let inputs = HashMap::from([(format!("{STORE}-x.drv"), read(&text))]);
        let above = floating(&format!(r#"("{STORE}-x.drv",["out"])"#));
        above.output_hash("out", &inputs).expect("known by its hash alone");
    }

    #[test]
    fn a_circle_is_found() {
        let circle = HashMap::from([
            (format!("{STORE}-a.drv"), floating(&format!(r#"("{STORE}-b.drv",["out"])"#))),
            (format!("{STORE}-b.drv"), floating(&format!(r#"("{STORE}-a.drv",["out"])"#))),
        ]);
        let above = floating(&format!(r#"("{STORE}-a.drv",["out"])"#));
        assert!(matches!(above.output_hash("out", &circle), Err(DerivationError::Cycle)));
    }
}
