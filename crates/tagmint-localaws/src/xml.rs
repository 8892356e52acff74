//! Writing the XML of AWS's query protocol.

use std::fmt::Write as _;

/// A fragment of XML, written element by element.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Xml(String);

impl Xml {
    /// An empty fragment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `<name>text</name>`.
    #[must_use]
    pub fn text(mut self, name: &str, text: impl AsRef<str>) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "<{name}>{}</{name}>", escape(text.as_ref()));
        self
    }

    /// Adds `<name>text</name>` where there is a text.
    #[must_use]
    pub fn maybe(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds `<name>…</name>` around another fragment.
    #[must_use]
    pub fn within(mut self, name: &str, inner: Self) -> Self {
        let _ = write!(self.0, "<{name}>{}</{name}>", inner.0);
        self
    }

    /// Adds another fragment.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Adds a list: `<name><member>…</member>…</name>`.
    #[must_use]
    pub fn list(self, name: &str, members: impl IntoIterator<Item = Self>) -> Self {
        let members = members.into_iter().fold(Self::new(), |list, member| list.within("member", member));
        self.within(name, members)
    }

    /// Adds a list of texts.
    #[must_use]
    pub fn texts<T: AsRef<str>>(self, name: &str, texts: impl IntoIterator<Item = T>) -> Self {
        let members = texts.into_iter().fold(Self::new(), |list, text| list.text("member", text));
        self.within(name, members)
    }

    /// The fragment's text.
    pub fn into_inner(self) -> String {
        self.0
    }

    /// The whole document, with its root element in a name space.
    pub fn document(self, root: &str, namespace: &str) -> String {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">{}</{root}>", self.0)
    }
}

/// A text as XML takes it. Control characters that XML 1.0 doesn't have become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        let xml = Xml::new().text("A", "</A><B>&\"\u{1}").texts("L", ["x", "y"]).within("E", Xml::new());
        assert_eq!(
            xml.document("R", "urn:x"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\"><A>&lt;/A&gt;&lt;B&gt;&amp;&quot;\u{fffd}</A>\
             <L><member>x</member><member>y</member></L><E></E></R>"
        );
    }
}
