//! Lines of styled words for a terminal: columns, wrapping, colour. Knows nothing of plans.

use owo_colors::Style;
use unicode_width::UnicodeWidthStr as _;

use super::escape;

/// What a piece of text means; colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Text.
    Plain,
    /// Headings.
    Strong,
    /// Less important.
    Quiet,
    /// Something comes, or all is well.
    Good,
    /// Something changes.
    Change,
    /// A person should look.
    Care,
    /// Something goes away.
    Danger,
}

impl Tone {
    fn paint(self, text: &str) -> String {
        let style = Style::new();
        let style = match self {
            Self::Plain => return text.to_owned(),
            Self::Strong => style.bold(),
            Self::Quiet => style.dimmed(),
            Self::Good => style.green(),
            Self::Change => style.cyan(),
            Self::Care => style.yellow().bold(),
            Self::Danger => style.red().bold(),
        };
        style.style(text).to_string()
    }
}

/// One line in the making. Everything put on it is made harmless first.
#[derive(Debug, Default)]
pub(super) struct Line {
    spans: Vec<(Tone, String)>,
    width: usize,
}

impl Line {
    /// An indented line.
    pub(super) fn at(indent: usize) -> Self {
        Self { spans: vec![(Tone::Plain, " ".repeat(indent))], width: indent }
    }

    /// Adds text.
    pub(super) fn put(mut self, tone: Tone, text: &str) -> Self {
        let text = escape::line(text);
        self.width += text.width();
        self.spans.push((tone, text));
        self
    }

    /// Fills up to a column, with two spaces at least once something stands there.
    pub(super) fn column(self, column: usize) -> Self {
        let gap = column.saturating_sub(self.width).max(2);
        self.put(Tone::Plain, &" ".repeat(gap))
    }

    /// Adds text that ends at the right edge; directly behind the rest where there is no room.
    pub(super) fn right(self, edge: usize, tone: Tone, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        let start = edge.saturating_sub(text.width());
        self.column(start).put(tone, text)
    }

    /// Columns used.
    pub(super) const fn width(&self) -> usize {
        self.width
    }
}

/// Finished lines.
#[derive(Debug)]
pub(super) struct Page {
    width: usize,
    lines: Vec<Line>,
}

impl Page {
    /// An empty page of that width.
    pub(super) fn new(width: usize) -> Self {
        Self { width: width.max(60), lines: Vec::new() }
    }

    /// Its width.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// Adds a line.
    pub(super) fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Adds an empty line and a heading.
    pub(super) fn heading(&mut self, tone: Tone, text: &str) {
        self.push(Line::default());
        self.flow(Line::default(), tone, text);
    }

    /// Adds text after `start`, going on below where it began.
    pub(super) fn flow(&mut self, start: Line, tone: Tone, text: &str) {
        let indent = start.width();
        let mut pieces = wrap(&escape::line(text), self.width.saturating_sub(indent).max(20)).into_iter();
        let first = pieces.next().unwrap_or_default();
        self.push(start.put(tone, &first));
        for piece in pieces {
            self.push(Line::at(indent).put(tone, &piece));
        }
    }

    /// The whole page, with a line break after each line and no space before it.
    pub(super) fn finish(self, color: bool) -> String {
        let mut out = String::new();
        for line in self.lines {
            let mut text = String::new();
            for (tone, span) in &line.spans {
                text.push_str(&if color { tone.paint(span) } else { span.clone() });
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
        out
    }
}

/// Breaks text at spaces. A word longer than the width stays whole: a digest or a command must stay copyable.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("begun with one and only added to");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_flows_below_where_it_began() {
        let mut page = Page::new(60);
        page.flow(Line::at(2).put(Tone::Strong, "why  "), Tone::Plain, &"word ".repeat(14));
        let text = page.finish(false);
        assert_eq!(text.lines().nth(1), Some("       word word word word"));
        assert!(text.lines().all(|line| line.len() <= 60), "{text}");
    }

    #[test]
    fn colour_only_when_asked_and_never_from_outside() {
        let page = || {
            let mut page = Page::new(60);
            page.push(Line::default().put(Tone::Danger, "a\u{1b}[0m"));
            page
        };
        assert_eq!(page().finish(false), "a\\u{1b}[0m\n");
        assert_eq!(page().finish(true).matches('\u{1b}').count(), 2);
    }
}
