//! Listing many keys: pages of a listing come one after another, each only when the one before says where it ends. But
//! hash parts are spread evenly, so the first page tells where others would begin, and several are read at once.
//!
//! The keys come in ascending order all the same. What was read ahead waits its turn, and is bounded: a piece of the listing
//! has a few pages, and goes on only when it is its turn. It has as many as there are, if possible, because a server that
//! keeps its objects in a directory reads all of that for every listing that begins, and not for one that goes on. Keys
//! that are not spread evenly cost some requests, and are listed one page after another from there on; so are those of a
//! server that answers at once, which has work enough with one page at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, FuturesOrdered};
use nars3_store_api::StoreError;

use super::Objects;
use super::keyspace::{at, position};
use super::walk::{Found, PAGE, Region, Step, Walk};

/// Pieces that are read at once.
const AT_ONCE: usize = 8;

/// The most pages of a piece. Of all pieces together that is a few MiB.
const MOST_PAGES: u64 = 8;

/// Keys by which a piece is shorter than its pages, so that by chance it hardly has one more.
const SPARE: f64 = 150.0;

/// With fewer keys to come than this, pieces save less time than it takes to be wrong about them.
const WORTH_IT: f64 = 2000.0;

/// A part of the listing that was asked for ahead.
struct Piece {
    keys: VecDeque<Found>,
    /// It has more pages than it should have, and this is the rest of it.
    rest: Option<Walk>,
    /// The listing ended in it.
    is_last: bool,
    /// The share of all hash parts that it was about, if it is not what was left over.
    width: Option<f64>,
}

/// What is still to be asked for: keys above this one, by pieces of this width.
struct Frontier {
    above: String,
    width: f64,
    /// Of a piece.
    pages: u64,
}

impl Frontier {
    /// The keys that a piece should have.
    fn expected(&self) -> f64 {
        (self.pages * PAGE) as f64 - SPARE
    }
}

/// A listing in ascending order, of which several pages are on their way.
struct Spread<'a> {
    objects: &'a Objects,
    region: Region,
    /// The last key that is wanted.
    until: Option<String>,
    /// What is read now, page after page.
    walk: Option<Walk>,
    /// Whether `walk` may be followed by pieces: it is the first, and its keys look like hash parts.
    may_spread: bool,
    /// How long the first page took.
    first_page: Option<Duration>,
    /// The key in the middle of the first page, by which it is seen whether they do.
    middle: Option<String>,
    ready: VecDeque<Found>,
    pieces: FuturesOrdered<BoxFuture<'a, Result<Piece, StoreError>>>,
    frontier: Option<Frontier>,
}

impl Objects {
    /// The keys of a region above `after`, up to `until`, in ascending order.
    pub(super) fn spread(
        &self,
        region: Region,
        after: Option<&str>,
        until: Option<String>,
    ) -> BoxStream<'_, Result<Found, StoreError>> {
        let walk = match self.walk(region, after.unwrap_or_default(), until.clone()) {
            Ok(walk) => walk,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let spread = Spread {
            objects: self,
            region,
            until,
            walk: Some(walk),
            may_spread: true,
            first_page: None,
            middle: None,
            ready: VecDeque::new(),
            pieces: FuturesOrdered::new(),
            frontier: None,
        };
        stream::try_unfold(spread, async |mut spread: Spread<'_>| {
            Ok(spread.next().await?.map(|key| (key, spread)))
        })
        .boxed()
    }

    /// The first `pages` pages of the keys above `start`, up to `end`.
    async fn piece(
        &self,
        region: Region,
        start: String,
        end: Option<String>,
        pages: u64,
        width: Option<f64>,
    ) -> Result<Piece, StoreError> {
        let mut walk = self.walk(region, &start, end)?;
        let mut keys = VecDeque::new();
        loop {
            let turns_pages = walk.read < pages * PAGE;
            let (rest, is_last) = match self.step(&mut walk, turns_pages).await? {
                Step::Key(key) => {
                    keys.push_back(key);
                    continue;
                }
                Step::PageRead => (Some(walk), false),
                Step::AtEnd => (None, true),
                Step::Beyond => (None, false),
            };
            return Ok(Piece { keys, rest, is_last, width });
        }
    }
}

impl Spread<'_> {
    async fn next(&mut self) -> Result<Option<Found>, StoreError> {
        loop {
            if let Some(key) = self.ready.pop_front() {
                return Ok(Some(key));
            }
            if let Some(walk) = &mut self.walk {
                let asked = Instant::now();
                let step = self.objects.step(walk, !self.may_spread).await?;
                self.first_page.get_or_insert_with(|| asked.elapsed());
                match step {
                    Step::Key(key) => {
                        if self.may_spread && walk.read == PAGE / 2 {
                            self.middle = Some(key.0.clone());
                        }
                        return Ok(Some(key));
                    }
                    Step::PageRead => self.look_ahead(),
                    Step::AtEnd => self.end(),
                    Step::Beyond => self.walk = None,
                }
                continue;
            }
            self.ask();
            let Some(piece) = self.pieces.next().await.transpose()? else { return Ok(None) };
            self.take(piece);
        }
    }

    /// Nothing comes any more, whatever was asked for.
    fn end(&mut self) {
        (self.walk, self.frontier) = (None, None);
        self.pieces = FuturesOrdered::new();
    }

    /// After a page of the first walk: whether it is worth it to go on in pieces.
    fn look_ahead(&mut self) {
        let Some(walk) = &self.walk else { return };
        let begin = self.position(&walk.start);
        let (read, middle) = (self.position(&walk.last) - begin, self.middle.take());
        let half = middle.map_or(0.0, |middle| self.position(&middle) - begin);
        let share = read / walk.read as f64;
        // Half of an even page has half of its keys.
        let is_even = half > 0.0 && (1.5..3.0).contains(&(read / half));
        let to_come = (self.end_position() - self.position(&walk.last)) / share;
        let at_once = self.at_once();
        let is_slow = self.first_page.is_some_and(|took| took >= self.objects.limits().listing_patience);
        if at_once > 1 && is_slow && is_even && to_come >= WORTH_IT {
            // A float beyond all numbers becomes the largest.
            let pages = ((to_come / PAGE as f64) as u64).div_ceil(at_once as u64).clamp(1, MOST_PAGES);
            let frontier = Frontier { above: walk.last.clone(), width: 0.0, pages };
            self.frontier = Some(Frontier { width: share * frontier.expected(), ..frontier });
            self.walk = None;
        }
        self.may_spread = false;
    }

    fn position(&self, key: &str) -> f64 {
        position(key.strip_prefix(self.region.folder).unwrap_or(key))
    }

    fn end_position(&self) -> f64 {
        self.until.as_ref().map_or(self.region.end, |until| self.position(until))
    }

    fn at_once(&self) -> usize {
        AT_ONCE.min(self.objects.limits().concurrent_requests)
    }

    /// Asks for as many pieces as may be on their way.
    fn ask(&mut self) {
        while self.pieces.len() < self.at_once() {
            let Some(Frontier { above, width, pages }) = self.frontier.take() else { return };
            let next = self.position(&above) + width;
            let end = format!("{}{}", self.region.folder, at(next));
            // A little that would be left over is not worth a request, and a step too small to be told apart is none.
            let goes_on = next + width / 8.0 < self.end_position() && end > above;
            let (end, width, following) = if goes_on {
                (Some(end.clone()), Some(width), Some(Frontier { above: end, width, pages }))
            } else {
                (self.until.clone(), None, None)
            };
            self.frontier = following;
            self.pieces.push_back(Box::pin(self.objects.piece(self.region, above, end, pages, width)));
        }
    }

    /// It is a piece's turn.
    fn take(&mut self, piece: Piece) {
        if let (Some(width), Some(frontier)) = (piece.width, &mut self.frontier) {
            let (found, expected) = (piece.keys.len() as f64, frontier.expected());
            frontier.width = if found < expected / 4.0 {
                // They are not spread as they seemed to be: one piece is all that is left.
                f64::INFINITY
            } else {
                // Halfway to what this one would have needed, so that chance does not rule.
                (frontier.width + width * expected / found) / 2.0
            };
        }
        (self.ready, self.walk) = (piece.keys, piece.rest);
        if piece.is_last {
            self.end();
        }
    }
}
