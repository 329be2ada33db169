//! A listing of many objects: page after page, read while more is on its way.
//!
//! `RetrievePropertiesEx` with a page size, then `ContinueRetrievePropertiesEx` until no token comes. The token stands
//! before the objects of a page, so the next page is asked for as soon as one has come, before it is read.
//! A page that is lost makes the whole reading fail: a shorter list is never taken for a whole one.
//!
//! ```text
//! server    | makes 1 |         | makes 2 |         | makes 3 |
//! wire                | takes 1 |         | takes 2 |         | takes 3 |
//! reading                       |  reads 1  |       |  reads 2  | reads 3 |
//! ```
//!
//! While a page is made, the one before is read; reading before all of it has come would only keep the server waiting for
//! the next call. The last page alone is read while it comes, as nothing is made meanwhile. No thread of its own reads:
//! beside those that take from the wire it would be one too many for two cores, and the server on them.
//!
//! Bytes are dropped with the object they told of, so that a large page takes little room and little time after its last
//! byte. Only whole objects count: one that a batch ends in is read again with the next.

use bytes::Bytes;

use super::client::Arriving;
use super::fault::{Failure, Fault};
use super::property::{self, Devices, From, Object, Properties, Wanted};
use super::session::{Door, Session};
use super::soap::{self, Request};
use crate::model::Words;
use crate::xml::{Limits, Place, Reader, XmlError};

/// Objects asked for per page. A server may give fewer.
const PAGE: &str = "500";

/// Bytes read at a time: little enough to stay in a processor's cache from the wire to the words that are kept, and for
/// other tasks not to wait for long.
const BATCH: usize = 128 << 10;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What becomes of each object of an answer.
pub(super) struct Each<T> {
    of: fn(&Object<'_>, &mut Words) -> Option<T>,
    devices: Devices,
}

impl<T> Each<T> {
    /// Of devices everything is kept, as when they are to be sent back.
    pub(super) fn whole(of: fn(&Object<'_>, &mut Words) -> Option<T>) -> Self {
        Self { of, devices: Devices::Whole }
    }

    /// For inventories: of devices nothing is kept but what [`super::device`] looks at.
    pub(super) fn facts(of: fn(&Object<'_>, &mut Words) -> Option<T>) -> Self {
        Self { of, devices: Devices::Facts }
    }
}

impl<T> Clone for Each<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Each<T> {}

/// Reads everything and gives each object to `each`, with the words of its page; the results come in the order of the
/// answer.
pub(super) async fn read<T: Send>(
    door: &Door,
    session: &Session,
    wanted: &[Wanted<'_>],
    from: &From<'_>,
    each: Each<T>,
) -> Result<Vec<T>, Failure> {
    if matches!(from, From::Objects([])) {
        return Ok(Vec::new());
    }
    let collector = &session.content.property_collector;
    let mut request = Request::new("RetrievePropertiesEx", collector, |writer| {
        property::filter_spec(writer, "specSet", wanted, from);
        writer.open("options").leaf("maxObjects", PAGE).close();
    })?;
    let mut arriving = door.open_in(session, &request).await?;
    let mut found = Vec::new();
    loop {
        let (mut page, rest) = take(arriving, each).await?;
        let Some(token) = page.token.take() else {
            found.extend(page.finish()?);
            return Ok(found);
        };
        request = Request::new("ContinueRetrievePropertiesEx", collector, |writer| {
            writer.leaf("token", &token);
        })?;
        let reading = async {
            // The call leaves first: the server would otherwise wait for this page to be read.
            tokio::task::yield_now().await;
            page.read(rest).await
        };
        let (next, read) = futures_util::try_join!(door.open_in(session, &request), reading)?;
        found.extend(read);
        arriving = next;
    }
}

/// Takes a whole page from the wire, with what of it is still to be read: nothing of the last one.
async fn take<T>(mut arriving: Arriving, each: Each<T>) -> Result<(Page<T>, Vec<Vec<Bytes>>), Failure> {
    let mut page = Page::new(each);
    while !page.opened {
        match arriving.batch(BATCH).await? {
            Some(batch) => page.begin(&batch)?,
            None => page.open()?,
        }
    }
    let mut rest = Vec::new();
    while let Some(batch) = arriving.batch(BATCH).await? {
        match page.token {
            Some(_) => rest.push(batch),
            None => page.add(&batch)?,
        }
    }
    Ok((page, rest))
}

/// One page, as far as it has come. Pure.
pub(super) struct Page<T> {
    each: Each<T>,
    words: Words,
    found: Vec<T>,
    /// What has come and is not read.
    text: Vec<u8>,
    /// Before more than this has come, it is not worth another look: an object that fills many batches would be begun anew
    /// with each.
    enough: usize,
    /// It has come as far as the first object, or there is none.
    opened: bool,
    /// Before the first object, where there is any.
    start: Option<Place>,
    /// Of the next page, where there is one.
    token: Option<String>,
    /// Bytes read since the start.
    behind: usize,
}

impl<T> Page<T> {
    pub(super) fn new(each: Each<T>) -> Self {
        let (words, found, text) = (Words::default(), Vec::new(), Vec::new());
        Self { each, words, found, text, enough: 0, opened: false, start: None, token: None, behind: 0 }
    }

    /// Looks for the first object, and the token before it.
    fn begin(&mut self, batch: &[Bytes]) -> Result<(), Failure> {
        self.take(batch);
        match self.open() {
            Err(Failure::Lost(..)) => Ok(()),
            outcome => outcome,
        }
    }

    /// Reads what else has come, to its end. Others have their turn after each batch.
    async fn read(mut self, rest: Vec<Vec<Bytes>>) -> Result<Vec<T>, Failure> {
        self.add(&[])?;
        for batch in rest {
            self.add(&batch)?;
            tokio::task::yield_now().await;
        }
        self.finish()
    }

    fn take(&mut self, batch: &[Bytes]) {
        for bytes in batch {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Reads the objects that are whole by now.
    pub(super) fn add(&mut self, batch: &[Bytes]) -> Result<(), Failure> {
        self.take(batch);
        if self.text.len() < self.enough {
            return Ok(());
        }
        let before = self.text.len();
        match self.look() {
            // In the middle of something: what breaks off now may go on.
            Err(Failure::Lost(..)) | Ok(()) => {}
            Err(failure) => return Err(failure),
        }
        self.enough = if self.text.len() < before { 0 } else { before.saturating_mul(2) };
        Ok(())
    }

    /// Nothing more comes: gives what was read, if that was the whole page.
    pub(super) fn finish(mut self) -> Result<Vec<T>, Failure> {
        self.look()?;
        // A look passes over a character that the end cuts in two.
        std::str::from_utf8(&self.text).map_err(|_| XmlError::Truncated { at: self.behind + self.text.len() })?;
        Ok(self.found)
    }

    /// Finds the first object; [`Failure::Lost`] when that has not come.
    fn open(&mut self) -> Result<(), Failure> {
        if self.opened {
            return Ok(());
        }
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.text.drain(..BYTE_ORDER_MARK.len());
        }
        let opened = open(whole_characters(&self.text, 0)?)?;
        if let Some((start, token)) = opened {
            self.text.drain(..start.at());
            (self.start, self.token) = (Some(start), token);
        }
        self.opened = true;
        Ok(())
    }

    /// Reads what is there; [`Failure::Lost`] when it does not end.
    fn look(&mut self) -> Result<(), Failure> {
        self.open()?;
        let Some(begun) = &self.start else { return Ok(()) };
        let text = whole_characters(&self.text, begun.at() + self.behind)?;
        let mut reader = Reader::resumed(begun, self.behind, text, Limits::ANSWER)?;
        let start = reader.at();
        let mut whole = start;
        let mut room = Vec::new();
        let outcome = loop {
            match next(&mut reader, begun, self.each.devices, std::mem::take(&mut room)) {
                Ok(Some(object)) => {
                    self.found.extend((self.each.of)(&object, &mut self.words));
                    room = object.into_room();
                }
                Ok(None) => break reader.finish().map_err(Failure::from),
                Err(failure) => break Err(failure),
            }
            whole = reader.at();
        };
        self.behind += whole - start;
        self.text.drain(..whole - start);
        outcome
    }
}

/// The text of these bytes, but for a character at their end of which only a part has come.
fn whole_characters(bytes: &[u8], before: usize) -> Result<&str, XmlError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => {
            let at = before.saturating_add(error.valid_up_to());
            Err(XmlError::Refused { what: "text that is not UTF-8", at })
        }
    }
}

/// Up to the first object: where that is, and the token of the next page. `None` for an answer without objects.
fn open(text: &str) -> Result<Option<(Place, Option<String>)>, Failure> {
    let mut reader = Reader::of_text(text, Limits::ANSWER)?;
    let response = soap::descend(&mut reader)?;
    if response.name == "Fault" {
        return Err(Failure::Fault(Fault::soap(&reader.element(response)?)));
    }
    let Some(returned) = reader.child_named(&response, "returnval")? else {
        reader.finish()?;
        return Ok(None);
    };
    let start = reader.place();
    match reader.child(&returned)? {
        Some(head) if head.name == "token" => {
            let token = reader.text_of(head)?.into_owned();
            Ok(Some((reader.place(), Some(token))))
        }
        _ => Ok(Some((start, None))),
    }
}

/// The next object.
fn next<'a>(
    reader: &mut Reader<'a>,
    place: &Place,
    devices: Devices,
    room: Properties<'a>,
) -> Result<Option<Object<'a>>, Failure> {
    while let Some(head) = reader.child_of(place)? {
        if head.name == "objects" {
            return property::object(reader, &head, devices, room).map(Some);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with a token, three folders, characters of several bytes, and something behind.
    fn text() -> String {
        let object = |name: &str| {
            format!(
                "<objects><obj type=\"Folder\">group-v1</obj><propSet><name>name</name>\
                 <val xsi:type=\"xsd:string\">{name}</val></propSet></objects>"
            )
        };
        format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body><R xmlns=\"urn:vim25\"><returnval>\
             <token>t-1</token>{}{}<other>x</other>{}</returnval></R></s:Body><!-- é --></s:Envelope>\n",
            object("ä&amp;ö"),
            object("<![CDATA[</objects>]]>"),
            object("漢字"),
        )
    }

    fn names(pieces: &[&[u8]]) -> Result<(Option<String>, Vec<String>), Failure> {
        let mut page = Page::new(Each::whole(|object, _| object.text("name").map(str::to_owned)));
        for piece in pieces {
            let batch = [Bytes::copy_from_slice(piece)];
            if page.opened { page.add(&batch)? } else { page.begin(&batch)? }
        }
        page.open()?;
        Ok((page.token.clone(), page.finish()?))
    }

    #[test]
    fn a_page_reads_the_same_however_its_bytes_come() {
        let text = text();
        let whole = names(&[text.as_bytes()]).unwrap();
        assert_eq!(whole.0.as_deref(), Some("t-1"));
        assert_eq!(whole.1, ["ä&ö", "</objects>", "漢字"]);
        for size in 1..text.len() {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(names(&pieces).unwrap(), whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_page_that_breaks_off_is_lost_wherever_it_does() {
        let text = text();
        for cut in 0..text.trim_end().len() {
            let pieces: Vec<&[u8]> = text.as_bytes()[..cut].chunks(100).collect();
            assert!(matches!(names(&pieces), Err(Failure::Lost(..))), "cut at {cut}: {:?}", names(&pieces));
        }
    }

    #[test]
    fn what_is_wrong_in_a_page_is_told_with_its_place_in_the_whole() {
        let text = text().replace("漢字</val>", "漢字</vil>");
        let at = text.find("</vil>").unwrap() - '\u{feff}'.len_utf8();
        for size in [1, 50, 10_000] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let failure = names(&pieces).unwrap_err().to_string();
            assert!(failure.contains(&format!("byte {at}:")), "{failure}");
        }
        let mut bad = self::text().into_bytes();
        bad.push(0xff);
        assert!(matches!(names(&[&bad]), Err(Failure::Senseless(_))));
    }

    #[test]
    fn a_fault_is_one_though_it_comes_as_a_page() {
        let text = "<Envelope><Body><Fault><faultcode>ServerFaultCode</faultcode><faultstring>no</faultstring></Fault></Body>\
                    </Envelope>";
        for size in [1, 7, 1000] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert!(matches!(names(&pieces), Err(Failure::Fault(_))));
        }
    }

    #[test]
    fn a_page_may_be_empty() {
        for answer in ["<R/>", "<R></R>", "<R><returnval/></R>", "<R><returnval><token>t</token></returnval></R>"] {
            let text = format!("<Envelope><Body>{answer}</Body></Envelope>");
            for size in [1, 1000] {
                let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
                let (token, found) = names(&pieces).unwrap();
                assert_eq!((token.is_some(), found.len()), (answer.contains("token"), 0), "{answer}");
            }
        }
    }

    #[test]
    fn an_object_that_fills_many_batches_is_not_begun_anew_with_each() {
        let many = "<propSet><name>name</name><val>x</val></propSet>".repeat(2_000);
        let text = format!(
            "<Envelope><Body><R><returnval><objects><obj type=\"Folder\">f</obj>{many}</objects></returnval></R></Body></Envelope>"
        );
        let mut page = Page::new(Each::whole(|_, _| Some(())));
        let mut looks = 0;
        for piece in text.as_bytes().chunks(100) {
            let before = page.enough;
            page.add(&[Bytes::copy_from_slice(piece)]).unwrap();
            looks += usize::from(page.enough != before);
        }
        assert!(looks < 20, "{looks} looks");
        assert_eq!(page.finish().unwrap().len(), 1);
    }
}
