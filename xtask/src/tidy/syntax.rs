//! What the rules need to know of a Rust file, read from its tokens: strings and comments cannot deceive, and the insides
//! of macro calls are seen as well.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::Finding;

/// The parts of a file that rules speak of.
#[derive(Debug, Default)]
pub(crate) struct Syntax {
    /// `mod name;`
    pub(crate) file_modules: Vec<FileModule>,
    /// `mod name { … }`
    pub(crate) inline_modules: Vec<Named>,
    /// The literal of `include!("…")`.
    pub(crate) includes: Vec<String>,
    /// Calls `name!(…)`.
    macros: Vec<Named>,
    attributes: Vec<Attribute>,
}

/// A module whose text is in another file.
#[derive(Debug, PartialEq)]
pub(crate) struct FileModule {
    /// The names of the inline modules around it, then its own.
    pub(crate) path: Vec<String>,
    /// The value of its `#[path = "…"]`.
    pub(crate) file: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

#[derive(Debug)]
struct Attribute {
    tokens: Vec<TokenTree>,
    line: usize,
}

impl Syntax {
    /// Reads a file's text. The error is the line at which it stops being Rust.
    pub(crate) fn read(text: &str) -> Result<Self, usize> {
        // A shebang is no token; an inner attribute begins the same way.
        let text =
            if text.starts_with("#!") && !text.starts_with("#![") { format!("//{text}") } else { text.to_owned() };
        let stream = text.parse::<TokenStream>().map_err(|error| error.span().start().line)?;
        let mut syntax = Self::default();
        syntax.walk(stream, &mut Vec::new());
        Ok(syntax)
    }

    fn walk(&mut self, stream: TokenStream, modules: &mut Vec<String>) {
        let tokens = stream.into_iter().collect::<Vec<_>>();
        let mut path_attribute = None;
        let mut rest = tokens.as_slice();
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            match (first, tail) {
                (TokenTree::Punct(hash), [TokenTree::Group(group), ..]) if hash.as_char() == '#' => {
                    path_attribute = self.attribute(group).or(path_attribute);
                    rest = &tail[1..];
                }
                (TokenTree::Punct(hash), [TokenTree::Punct(bang), TokenTree::Group(group), ..])
                    if hash.as_char() == '#' && bang.as_char() == '!' =>
                {
                    self.attribute(group);
                    rest = &tail[2..];
                }
                (TokenTree::Ident(word), [TokenTree::Ident(name), TokenTree::Punct(end), ..])
                    if word == "mod" && end.as_char() == ';' =>
                {
                    let path = modules.iter().cloned().chain([name.to_string()]).collect();
                    self.file_modules.push(FileModule { path, file: path_attribute.take() });
                }
                (TokenTree::Ident(word), [TokenTree::Ident(name), TokenTree::Group(body), ..]) if word == "mod" => {
                    self.inline_modules.push(Named { name: name.to_string(), line: name.span().start().line });
                    modules.push(name.to_string());
                    self.walk(body.stream(), modules);
                    modules.pop();
                    rest = &tail[2..];
                }
                (TokenTree::Ident(name), [TokenTree::Punct(bang), TokenTree::Group(body), ..])
                    if bang.as_char() == '!' =>
                {
                    self.macros.push(Named { name: name.to_string(), line: name.span().start().line });
                    if name == "include" {
                        self.includes.extend(body.stream().into_iter().find_map(|token| string(&token)));
                    }
                }
                (TokenTree::Group(group), _) => {
                    // The `(crate)` of a visibility stands between an attribute and its module.
                    if group.delimiter() == Delimiter::Brace {
                        path_attribute = None;
                    }
                    self.walk(group.stream(), modules);
                }
                _ => {}
            }
        }
    }

    /// Notes an attribute and returns its value if it is `path = "…"`.
    fn attribute(&mut self, group: &Group) -> Option<String> {
        if group.delimiter() != Delimiter::Bracket {
            return None;
        }
        let tokens = group.stream().into_iter().collect::<Vec<_>>();
        let path = match tokens.as_slice() {
            [TokenTree::Ident(name), TokenTree::Punct(_), value] if name == "path" => string(value),
            _ => None,
        };
        self.attributes.push(Attribute { tokens, line: group.span_open().start().line });
        path
    }
}

impl Attribute {
    /// Whether it is `name…`, or `cfg_attr(…, name…)`.
    fn is(&self, name: &str) -> bool {
        let TokenTree::Ident(first) = &self.tokens[0] else { return false };
        first == name || (first == "cfg_attr" && mentions(&self.tokens, name))
    }

    /// Whether it is a line of documentation that starts a code block which is never compiled.
    fn ignores_example(&self) -> bool {
        match self.tokens.as_slice() {
            [TokenTree::Ident(name), TokenTree::Punct(_), text] if name == "doc" => {
                string(text).is_some_and(|text| text.trim().starts_with("```") && text.contains("ignore"))
            }
            _ => false,
        }
    }
}

fn mentions(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(&group.stream().into_iter().collect::<Vec<_>>(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The text of a plain string literal. Escapes do not matter to paths and code fences.
fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    literal.to_string().strip_prefix('"')?.strip_suffix('"').map(str::to_owned)
}

/// Code that is switched off, unfinished, or excused without a reason.
pub(crate) fn check(path: &str, syntax: &Syntax, findings: &mut Vec<Finding>) {
    for attribute in syntax.attributes.iter().filter(|attribute| !attribute.tokens.is_empty()) {
        if attribute.is("ignore") || attribute.ignores_example() {
            let problem = "a test that does not run".to_owned();
            let remedy = "make it run, or delete it; a test that needs something fails with the command to get it";
            findings.push(Finding::error(path, attribute.line, "ignored", problem, remedy));
        }
        if attribute.is("allow") && !mentions(&attribute.tokens, "reason") {
            let problem = "a lint is switched off without a reason".to_owned();
            let remedy = "write #[expect(LINT, reason = \"…\")], or follow the lint";
            findings.push(Finding::error(path, attribute.line, "reason", problem, remedy));
        }
    }
    for call in syntax.macros.iter().filter(|call| ["todo", "unimplemented"].contains(&call.name.as_str())) {
        let problem = format!("`{}!` is unfinished work", call.name);
        findings.push(Finding::error(path, call.line, "unfinished", problem, "finish it, or leave it out"));
    }
}

#[cfg(test)]
mod tests;
