//! What follows from one delivery is worked out on a sheet: documents are read once, changed there,
//! and written together, each only if nobody has changed it meanwhile.

use std::{collections::BTreeMap, sync::Arc};

use runbook_journal::{Expect, JournalError, Shelf, Write};

use crate::kept::{self, Kept};

/// Documents of one kind on a sheet.
#[derive(Debug)]
pub(crate) struct Pages<T>(BTreeMap<String, Page<T>>);

#[derive(Debug)]
struct Page<T> {
    /// 0 where there is none on the shelf.
    version: u64,
    value: Option<T>,
    changed: bool,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Kept> Pages<T> {
    /// A document as the sheet has it.
    pub(crate) async fn read(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        id: &str,
    ) -> Result<Option<&T>, JournalError> {
        if !self.0.contains_key(id) {
            let found = kept::find::<T>(shelf, id).await?;
            let page = match found {
                Some(found) => Page { version: found.version, value: Some(found.value), changed: false },
                None => Page { version: 0, value: None, changed: false },
            };
            self.0.insert(id.to_owned(), page);
        }
        Ok(self.0.get(id).and_then(|page| page.value.as_ref()))
    }

    /// Changes a document, or makes it; what was read before, and from then on, is what the sheet has.
    pub(crate) async fn change(
        &mut self,
        shelf: &Arc<dyn Shelf>,
        id: &str,
        value: T,
    ) -> Result<(), JournalError> {
        self.read(shelf, id).await?;
        if let Some(page) = self.0.get_mut(id) {
            page.value = Some(value);
            page.changed = true;
        }
        Ok(())
    }

    pub(crate) async fn remove(&mut self, shelf: &Arc<dyn Shelf>, id: &str) -> Result<(), JournalError> {
        if self.read(shelf, id).await?.is_some()
            && let Some(page) = self.0.get_mut(id)
        {
            page.value = None;
            page.changed = true;
        }
        Ok(())
    }

    /// What is to be written.
    pub(crate) fn writes(&self) -> Result<Vec<Write>, JournalError> {
        let changed = self.0.iter().filter(|(_, page)| page.changed);
        let write = |(id, page): (&String, &Page<T>)| match &page.value {
            Some(value) => {
                let expect = if page.version == 0 { Expect::New } else { Expect::Version(page.version) };
                kept::put(id, value, expect)
            }
            None => Ok(kept::remove::<T>(id)),
        };
        changed.map(write).collect()
    }
}
