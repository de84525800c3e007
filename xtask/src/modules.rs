//! A crate's modules, one per file, and their uses of each other.
//!
//! A path counts for the file in which the item is written: `pub use` in between is followed, and is no use by itself.
//! Not counted are `mod` lines, tests, a file's paths into itself, and its paths into its parent: `x/y.rs` is read after
//! `x.rs`, and may name what it finds there.

use crate::tokens::{Token, product_code};
use std::collections::{BTreeMap, BTreeSet};

/// Longest chain of `use` declarations that is followed.
const LONGEST_CHAIN: usize = 8;

/// Names of the modules from the root of the crate on; empty for the root.
type Path = Vec<String>;

/// The modules of one crate.
#[derive(Default)]
pub struct Modules {
    /// By path, modules in braces included.
    modules: BTreeMap<Path, Module>,
    /// By path of the file's module.
    files: BTreeMap<Path, Code>,
}

#[derive(Default)]
struct Module {
    file: Path,
    /// Path behind each name that `use` brings in.
    names: BTreeMap<String, Path>,
}

/// Paths and words in a file's code.
#[derive(Default)]
struct Code {
    mentions: Vec<Mention>,
    /// Each word outside of `use` declarations.
    words: BTreeSet<String>,
}

/// A path in the code.
struct Mention {
    /// Module it is in.
    scope: Path,
    path: Path,
    line: usize,
    kind: Kind,
}

enum Kind {
    Inline,
    Use,
    Glob,
    /// `pub use … as name`: a use of its own only where the file says the name, too.
    PublicUse(String),
    PublicGlob,
}

/// `from` uses `item` of `to`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub from: String,
    pub to: String,
    pub line: usize,
    pub item: String,
}

impl Modules {
    /// Adds a file of the crate; `inside` is its path below `src`.
    pub fn add(&mut self, inside: &str, text: &str) {
        let file = module_of(inside);
        let mut reader =
            Reader { tokens: &product_code(text), at: 0, modules: self, file: &file, code: Code::default() };
        reader.module(&file, usize::MAX);
        let code = reader.code;
        self.files.insert(file, code);
    }

    /// The first use of each file by each other one.
    pub fn uses(&self) -> Vec<Use> {
        let mut first: BTreeMap<(&Path, &Path), Use> = BTreeMap::new();
        for (from, code) in &self.files {
            for mention in &code.mentions {
                let Some(to) = self.target(mention, code) else { continue };
                let is_parent = from.split_last().is_some_and(|(_, parent)| parent == to);
                if to == from || is_parent || !self.files.contains_key(to) {
                    continue;
                }
                let item = mention.path.last().cloned().unwrap_or_default();
                let found = Use { from: shown(from), to: shown(to), line: mention.line, item };
                first.entry((from, to)).or_insert(found);
            }
        }
        first.into_values().collect()
    }

    /// The file that a path leads into, where it counts as a use of it.
    fn target(&self, mention: &Mention, code: &Code) -> Option<&Path> {
        let (module, is_module) = self.resolve(&mention.scope, &mention.path, 0)?;
        let counts = match &mention.kind {
            // A module by itself: its items are named elsewhere in the file.
            Kind::Inline | Kind::Use => !is_module,
            Kind::PublicUse(name) => !is_module && code.words.contains(name),
            Kind::Glob => true,
            Kind::PublicGlob => false,
        };
        self.modules.get(&module).filter(|_| counts).map(|module| &module.file)
    }

    /// The module that holds what `path` leads to, seen from `scope`; and whether it leads to the module itself.
    fn resolve(&self, scope: &[String], path: &[String], chain: usize) -> Option<(Path, bool)> {
        let (first, mut rest) = path.split_first()?;
        if chain > LONGEST_CHAIN {
            return None;
        }
        let mut module = match first.as_str() {
            "crate" => Path::new(),
            "self" => scope.to_vec(),
            "super" => scope.split_last()?.1.to_vec(),
            name => match (child(scope, name), self.modules.get(scope)?.names.get(name)) {
                (child, _) if self.modules.contains_key(&child) => child,
                (_, Some(behind)) => return self.resolve(scope, &joined(behind, rest), chain + 1),
                _ => return None,
            },
        };
        while let Some((name, after)) = rest.split_first() {
            let below = child(&module, name);
            match name.as_str() {
                "self" => {}
                "super" => drop(module.pop()),
                _ if self.modules.contains_key(&below) => module = below,
                name => {
                    let behind = self.modules.get(&module)?.names.get(name);
                    let behind =
                        behind.and_then(|path| self.resolve(&module, &joined(path, after), chain + 1));
                    return Some(behind.unwrap_or((module, false)));
                }
            }
            rest = after;
        }
        Some((module, true))
    }
}

/// The module of a file below `src`.
fn module_of(inside: &str) -> Path {
    let mut names: Path = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        names.pop();
    }
    names
}

fn shown(module: &[String]) -> String {
    if module.is_empty() { "the crate's root".to_owned() } else { module.join("::") }
}

fn child(module: &[String], name: &str) -> Path {
    joined(module, &[name.to_owned()])
}

fn joined(one: &[String], two: &[String]) -> Path {
    [one, two].concat()
}

/// Reads one file's tokens.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    modules: &'a mut Modules,
    file: &'a Path,
    code: Code,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Reads up to the brace that closes the module, or to the end of the file.
    fn module(&mut self, scope: &Path, mut open: usize) {
        self.modules.modules.entry(scope.clone()).or_default().file.clone_from(self.file);
        while self.at < self.tokens.len() {
            match (self.text(self.at), self.text(self.at + 1), self.text(self.at + 2)) {
                ("mod", name, "{") => {
                    let inner = child(scope, name);
                    self.at += 3;
                    self.module(&inner, 1);
                    continue;
                }
                ("mod", _, ";") => self.at += 2,
                // Not the one of `impl Trait + use<'a>`.
                ("use", next, _) if next != "<" => {
                    self.declaration(scope);
                    continue;
                }
                ("{", ..) => open = open.saturating_add(1),
                ("}", ..) => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        self.at += 1;
                        return;
                    }
                }
                _ if self.tokens[self.at].is_word() => {
                    self.path(scope);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// A word, with the path it opens.
    fn path(&mut self, scope: &Path) {
        let begin = self.at;
        let mut path = vec![self.text(begin).to_owned()];
        self.at += 1;
        while self.text(self.at) == "::" && self.tokens.get(self.at + 1).is_some_and(Token::is_word) {
            path.push(self.text(self.at + 1).to_owned());
            self.at += 2;
        }
        // Of another crate, of this one by way of a macro, a method.
        let before = if begin == 0 { "" } else { self.text(begin - 1) };
        let is_path = !matches!(before, "::" | "$" | ".");
        self.code.words.insert(path[0].clone());
        if is_path && path.len() > 1 {
            let line = self.tokens[begin].line;
            self.code.mentions.push(Mention { scope: scope.clone(), path, line, kind: Kind::Inline });
        }
    }

    /// A `use` declaration, up to its semicolon.
    fn declaration(&mut self, scope: &Path) {
        let before = if self.at == 0 { "" } else { self.text(self.at - 1) };
        // `pub use` or `pub(…) use`.
        let public = matches!(before, "pub" | ")");
        self.at += 1;
        self.tree(scope, &Path::new(), public);
        self.at += 1;
    }

    /// One tree of a `use` declaration: `a::b`, `a as b`, `a::*`, `a::{…}`.
    fn tree(&mut self, scope: &Path, prefix: &Path, public: bool) {
        let mut path = prefix.clone();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(self.at) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(self.at), "}" | "") {
                        self.tree(scope, &path, public);
                        if self.text(self.at) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    let kind = if public { Kind::PublicGlob } else { Kind::Glob };
                    self.code.mentions.push(Mention { scope: scope.clone(), path, line, kind });
                    return;
                }
                "::" => self.at += 1,
                "" | ";" | "," | "}" => break,
                "as" => {
                    let name = self.text(self.at + 1).to_owned();
                    self.at += 2;
                    self.bind(scope, path, line, public, name);
                    return;
                }
                name => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
            }
        }
        if path.last().is_some_and(|name| name == "self") && path.len() > 1 {
            path.pop();
        }
        let name = path.last().cloned().unwrap_or_default();
        self.bind(scope, path, line, public, name);
    }

    fn bind(&mut self, scope: &Path, path: Path, line: usize, public: bool, name: String) {
        self.modules.modules.entry(scope.clone()).or_default().names.insert(name.clone(), path.clone());
        let kind = if public { Kind::PublicUse(name) } else { Kind::Use };
        self.code.mentions.push(Mention { scope: scope.clone(), path, line, kind });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `from → to` of each use among files given as (path, text).
    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        let mut modules = Modules::default();
        for (path, text) in files {
            modules.add(path, text);
        }
        modules.uses().iter().map(|one| format!("{} → {}", one.from, one.to)).collect()
    }

    /// Of a crate with the modules `a`, `b`, `b::c`, where `a` or `b::c` is as given.
    fn with(a: &str, c: &str) -> Vec<String> {
        uses(&[
            ("lib.rs", "mod a; mod b; pub use b::Public;"),
            ("a.rs", a),
            ("b.rs", "mod c; pub use c::Moved; use c::Own as Mine; pub struct Public;"),
            ("b/c.rs", c),
        ])
    }

    #[test]
    fn each_way_to_name_another_file_counts() {
        let own = "b → b::c";
        for a in [
            "use crate::b::Thing;",
            "use crate::b::{self, Thing};",
            "use crate::{b::{Thing as Other}};",
            "use crate::b::*;",
            "use super::b::Thing;",
            "use crate::b; fn f() { b::f() }",
            "fn f() { crate::b::f() }",
            "fn f(x: &super::b::Thing) {}",
            "mod inner { use super::super::b::Thing; }",
            "mod inner { fn f() { crate::b::f() } }",
            "use crate::Public;",
            "fn f() { crate::Public::new() }",
            "fn f() { use crate::b::Thing; }",
        ] {
            assert_eq!(with(a, ""), ["a → b", own], "{a}");
        }
    }

    #[test]
    fn re_exports_are_followed() {
        let own = "b → b::c";
        assert_eq!(with("use crate::b::Moved;", ""), ["a → b::c", own]);
        assert_eq!(with("use crate::b; fn f() { b::Moved::new() }", ""), ["a → b::c", own]);
        assert_eq!(with("", "use super::super::a::A;"), [own, "b::c → a"]);
    }

    #[test]
    fn a_file_may_use_its_parent() {
        let own = "b → b::c";
        assert_eq!(with("", "use super::Public; fn f() { crate::b::g() }"), [own]);
        assert_eq!(with("fn f() { super::g() }", ""), [own]);
        assert_eq!(with("", "fn f() { crate::g() }"), [own, "b::c → the crate's root"]);
    }

    #[test]
    fn what_is_no_use() {
        let own = "b → b::c";
        for a in [
            "mod x;",
            "use crate::b;",
            "use std::b::Thing;",
            "use ::b::Thing;",
            "// crate::b::Thing\nconst X: &str = \"crate::b::Thing\";",
            "#[cfg(test)] mod tests { use crate::b::Thing; }",
            "fn f() { b::Thing::new() }",
            "use crate::a::Thing; fn f() { self::g() }",
            "fn f<'a>() -> impl T + use<'a> { x.b::<crate>() }",
            "pub use crate::b::Thing;",
        ] {
            assert_eq!(with(a, ""), [own], "{a}");
        }
    }

    #[test]
    fn a_public_use_counts_where_its_file_says_the_name() {
        assert_eq!(with("pub use crate::b::Thing; fn f(x: Thing) {}", ""), ["a → b", "b → b::c"]);
    }
}
