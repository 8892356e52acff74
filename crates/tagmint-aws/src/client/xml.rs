//! Answers in XML as a tree of elements, without attributes and namespaces.

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};

/// An element with the text directly in it, and the elements below it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// Parses a document and returns its root; none where it is not well-formed.
    pub(crate) fn parse(document: &[u8]) -> Option<Self> {
        let mut reader = Reader::from_str(std::str::from_utf8(document).ok()?);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => open.push(Self::named(start.local_name().as_ref())),
                Event::Empty(start) => open.last_mut()?.children.push(Self::named(start.local_name().as_ref())),
                Event::End(_) => {
                    let closed = open.pop()?;
                    open.last_mut()?.children.push(closed);
                }
                Event::Text(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::CData(text) => open.last_mut()?.text.push_str(&text.decode().ok()?),
                Event::GeneralRef(reference) => {
                    let text = &mut open.last_mut()?.text;
                    match reference.resolve_char_ref().ok()? {
                        Some(character) => text.push(character),
                        None => text.push_str(resolve_predefined_entity(&reference.decode().ok()?)?),
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let [document] = open.try_into().ok()?;
        document.children.into_iter().next()
    }

    fn named(name: &[u8]) -> Self {
        Self { name: String::from_utf8_lossy(name).into_owned(), ..Self::default() }
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of this name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element of this name in the document, this one included.
    pub(crate) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// Its own text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text of the first child of this name.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text)
    }

    /// The same as a number or a truth value; none where it is not one.
    pub(crate) fn value_of<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text_of(name)?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_with_its_references() {
        let document = b"<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><b>1 &lt; 2 &amp; &#x41;</b><b/><ns:c><![CDATA[<>]]></ns:c></a>\n";
        let root = Element::parse(document).unwrap();
        assert_eq!(root.all("b").map(Element::text).collect::<Vec<_>>(), ["1 < 2 & A", ""]);
        assert_eq!((root.text_of("c"), root.find("c").map(Element::text)), (Some("<>"), Some("<>")));
        assert_eq!(root.child("d"), None);
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        for document in ["", "text", "<a>", "<a></b>", "<a>&unknown;</a>", "<a", "{\"a\": 1}"] {
            assert_eq!(Element::parse(document.as_bytes()), None, "{document}");
        }
        assert_eq!(Element::parse(&[0xff, 0xfe]), None);
    }

    #[test]
    fn values_are_parsed() {
        let root = Element::parse(b"<a><n> 3600 </n><t>true</t><w>x</w></a>").unwrap();
        assert_eq!((root.value_of("n"), root.value_of("t"), root.value_of::<i32>("w")), (Some(3600), Some(true), None));
    }
}
