//! Columns that an image leaves as they were: what is large and seldom changes need not be written again with what does.

use std::borrow::Cow;

use super::message::{Message, Raw, Unreadable};
use super::{Mark, Table};

impl Table {
    fn kept(&self) -> impl Iterator<Item = u32> {
        self.columns.iter().filter(|column| column.is(Mark::Kept)).map(|column| column.tag)
    }

    /// An image with what it leaves as it was in an older one of the same row.
    pub fn filled<'a>(&self, image: &'a [u8], older: &[u8]) -> Result<Cow<'a, [u8]>, Unreadable> {
        let mut missing = Vec::new();
        for tag in self.kept() {
            if Message::new(image).take_all(tag)?.is_empty() && !Message::new(older).take_all(tag)?.is_empty() {
                missing.push(tag);
            }
        }
        if missing.is_empty() {
            return Ok(Cow::Borrowed(image));
        }
        let mut fields = fields(image)?;
        fields.extend(self::fields(older)?.into_iter().filter(|(tag, _)| missing.contains(tag)));
        // Those of one tag stay in their order.
        fields.sort_by_key(|(tag, _)| *tag);
        let mut out = Vec::with_capacity(image.len() + older.len());
        for (tag, raw) in fields {
            raw.put(tag, &mut out);
        }
        Ok(Cow::Owned(out))
    }
}

fn fields(image: &[u8]) -> Result<Vec<(u32, Raw<'_>)>, Unreadable> {
    let mut message = Message::new(image);
    std::iter::from_fn(|| message.next_field().transpose()).collect()
}
