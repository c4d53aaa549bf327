//! YAML files as values that know their lines.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};

/// A document of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// The line on which its content begins, counted from 1.
    pub(super) line: u64,
    /// What it says.
    pub(super) value: Value,
    /// The lines of its fields, by paths such as `spec.ips[2]`.
    lines: BTreeMap<String, u64>,
}

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: u64,
    pub(super) message: String,
}

impl Document {
    /// The line of the field, or of the nearest thing around it.
    pub(super) fn line_of(&self, path: &str) -> u64 {
        let mut path = path;
        loop {
            if let Some(&line) = self.lines.get(path) {
                return line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.line,
            }
        }
    }

    /// The `index`-th of the `items` of a list, as a document of its own.
    pub(super) fn item(&self, index: usize, value: Value) -> Self {
        let prefix = format!("items[{index}]");
        let inside = self.lines.iter().filter_map(|(path, &line)| {
            let rest = path.strip_prefix(&prefix)?;
            Some((rest.strip_prefix('.').unwrap_or(rest).to_owned(), line))
        });
        Self { line: self.line_of(&prefix), value, lines: inside.collect() }
    }
}

/// The documents of a file, each on its own, so that a mistake in one leaves the others. Empty ones are left out.
pub(super) fn documents(text: &str) -> Vec<Result<Document, SyntaxError>> {
    split(text).into_iter().filter_map(|(line, chunk)| parse(line, chunk).transpose()).collect()
}

/// Cuts at the lines that YAML keeps for that: `---` at the beginning of a line begins a document wherever it stands
/// (YAML 1.2.2, section 9.1.2). Answers with the line before each part.
fn split(text: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut line_before) = (0, 0);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r']);
        if content == "---" || content.starts_with("--- ") {
            parts.push((line_before, &text[start..offset]));
            (start, line_before) = (offset, number as u64);
        }
        offset += line.len();
    }
    parts.push((line_before, &text[start..]));
    parts
}

fn parse(line_before: u64, chunk: &str) -> Result<Option<Document>, SyntaxError> {
    let blank = |line: &str| {
        let line = line.trim();
        line.is_empty() || line == "---" || line.starts_with('#')
    };
    if chunk.lines().all(blank) {
        return Ok(None);
    }
    // As YAML 1.2 has it: a pod may be named `n`, and a label may say `off`.
    let options = serde_saphyr::options! { strict_booleans: true };
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(chunk, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        let message = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
        SyntaxError { line: line_before + line, message }
    })?;
    let mut lines = BTreeMap::new();
    let line = line_before + root.referenced.line();
    let value = settle(root.value, "", line_before, &mut lines);
    Ok((!value.is_null()).then_some(Document { line, value, lines }))
}

/// A value whose parts know where they are.
#[derive(Debug)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

fn settle(node: Node, path: &str, line_before: u64, lines: &mut BTreeMap<String, u64>) -> Value {
    let mut enter = |path: String, line: u64, child: Node| {
        lines.insert(path.clone(), line_before + line);
        settle(child, &path, line_before, lines)
    };
    match node {
        Node::Scalar(value) => value,
        Node::List(items) => {
            let at = |index: usize| format!("{path}[{index}]");
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| enter(at(index), item.referenced.line(), item.value)).collect()
        }
        Node::Map(fields) => {
            let at = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let fields = fields.into_iter().map(|(key, child)| {
                let value = enter(at(&key.value), key.referenced.line(), child.value);
                (key.value, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(field) = fields.next_entry()? {
            map.push(field);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "\
# two pools
apiVersion: v1
kind: A
---
# nothing here
---
kind: B
spec:
  ips:
    - 10.0.0.1
    - 10.0.0.2
  more: {a: [true, 1, null, 1.5, \"x\"]}
--- # and a list
kind: List
items:
  - kind: C
    spec:
      x: 1
";

    fn good(text: &str) -> Vec<Document> {
        documents(text).into_iter().map(|document| document.unwrap()).collect()
    }

    #[test]
    fn documents_know_their_lines() {
        let documents = good(FILE);
        assert_eq!(documents.iter().map(|document| document.line).collect::<Vec<_>>(), [2, 7, 14]);
        assert_eq!(documents[0].value, json!({"apiVersion": "v1", "kind": "A"}));
        let spec = json!({"ips": ["10.0.0.1", "10.0.0.2"], "more": {"a": [true, 1, null, 1.5, "x"]}});
        assert_eq!(documents[1].value, json!({"kind": "B", "spec": spec}));
        let cases =
            [("spec.ips[1]", 11), ("spec.ips[1].deep", 11), ("spec.none", 8), ("spec.ips", 9), ("", 7), ("none", 7)];
        for (path, line) in cases {
            assert_eq!(documents[1].line_of(path), line, "{path}");
        }
    }

    #[test]
    fn items_of_a_list_know_their_lines_too() {
        let list = &good(FILE)[2];
        let item = list.item(0, list.value["items"][0].clone());
        assert_eq!((item.line, item.line_of("spec.x")), (16, 18));
    }

    #[test]
    fn a_bad_document_is_named_by_its_line_and_leaves_the_others() {
        let documents = documents("kind: A\n---\nkind: B\nspec: [1, 2\n---\nkind: C\n");
        assert_eq!(documents[0].as_ref().unwrap().value, json!({"kind": "A"}));
        assert!((3..=5).contains(&documents[1].as_ref().unwrap_err().line), "{:?}", documents[1]);
        assert_eq!(documents[2].as_ref().unwrap().value, json!({"kind": "C"}));
    }

    #[test]
    fn a_key_given_twice_is_a_mistake() {
        let error = documents("kind: A\nname: x\nkind: B\n").remove(0).unwrap_err();
        assert_eq!(error.line, 3);
        assert!(error.message.contains("kind"), "{}", error.message);
    }
}
