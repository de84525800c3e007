//! `gilkeeper top`: the dashboard's figures in the terminal, once a second. What is shown is `top_view`'s.

use super::admin_pages::Pages;
use super::client;
use super::top_table::{Cell, Fit, GAP, Order, Table};
use super::top_view::{self, KEYS, Source, View};
use crate::{Failure, print};
use clap::ArgMatches;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Sparkline, Wrap};
use serde_json::Value;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds drawn above the tables.
const DRAWN: usize = 240;

/// Contents of the screen.
struct Screen {
    view: View,
    /// The order of each page's rows, in the order of [`View::ALL`].
    orders: [Order; View::ALL.len()],
    /// The process group that is shown alone.
    group: Option<String>,
    paused: bool,
    /// The keys are shown in place of a page.
    help: bool,
    status: Value,
    requests: Value,
    /// Answers a second, newest first.
    rates: Vec<u64>,
    /// Why the figures are old.
    trouble: Option<String>,
}

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let pages = client::pages(given)?;
    let mut screen = Screen {
        view: View::Groups,
        orders: View::ALL.map(View::order),
        group: None,
        paused: false,
        help: false,
        status: pages.read("/api/v1/status").map_err(Failure::Failed)?,
        requests: pages.read("/api/v1/requests").map_err(Failure::Failed)?,
        rates: Vec::new(),
        trouble: None,
    };
    if given.get_flag("once") || !std::io::stdout().is_terminal() {
        print(&top_view::plain(screen.source()));
        return Ok(0);
    }
    let mut terminal = ratatui::try_init().map_err(|why| Failure::Failed(format!("no terminal: {why}")))?;
    let mut done = Ok(());
    let mut next = Instant::now();
    while done.is_ok() {
        if Instant::now() >= next {
            next = Instant::now() + Duration::from_secs(1);
            screen.refresh(&pages);
        }
        done = terminal.draw(|frame| screen.draw(frame)).map(drop);
        let mut asks = false;
        match screen.key(next.saturating_duration_since(Instant::now()), &mut asks) {
            Ok(true) if asks => next = Instant::now(),
            Ok(true) => {}
            Ok(false) => break,
            Err(why) => done = Err(why),
        }
    }
    ratatui::restore();
    done.map(|()| 0).map_err(|why| Failure::Failed(format!("the terminal is gone: {why}")))
}

impl Screen {
    fn source(&self) -> Source<'_> {
        Source { status: &self.status, requests: &self.requests, group: self.group.as_deref() }
    }

    fn refresh(&mut self, pages: &Pages) {
        if self.paused {
            return;
        }
        let group = self
            .group
            .as_deref()
            .map_or_else(String::new, |group| format!("?process_group={}", encoded(group)));
        let read = pages
            .read("/api/v1/status")
            .and_then(|status| Ok((status, pages.read(&format!("/api/v1/requests{group}"))?)));
        match read {
            Ok((status, requests)) => {
                let answers = &status["total"]["answers"];
                let rate =
                    answers.as_f64().filter(|rate| *rate > 0.0).or(status["total"]["requests"].as_f64());
                // A bar for less than one a second, too.
                self.rates.insert(0, rate.unwrap_or(0.0).ceil() as u64);
                self.rates.truncate(DRAWN);
                (self.status, self.requests, self.trouble) = (status, requests, None);
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// Waits for a key, at most that long. `false`: leave. `asks`: other figures are wanted.
    fn key(&mut self, longest: Duration, asks: &mut bool) -> std::io::Result<bool> {
        if !event::poll(longest)? {
            return Ok(true);
        }
        let Event::Key(key) = event::read()? else { return Ok(true) };
        if key.kind != KeyEventKind::Press {
            return Ok(true);
        }
        let leaves = match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        };
        if (self.help && !leaves) || key.code == KeyCode::Char('?') {
            self.help = !self.help;
            return Ok(true);
        }
        let at = self.at();
        let all = View::ALL.len();
        match key.code {
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char(digit @ '1'..='5') => self.view = View::ALL[digit as usize - '1' as usize],
            KeyCode::Tab | KeyCode::Right => self.view = View::ALL[(at + 1) % all],
            KeyCode::Left | KeyCode::BackTab => self.view = View::ALL[(at + all - 1) % all],
            KeyCode::Char('s') => {
                let columns = top_view::table(self.view, self.source()).head.len().max(1);
                // Names begin with A, figures with the greatest.
                let column = (self.orders[at].column + 1) % columns;
                self.orders[at] = Order { column, rising: column == 0 };
            }
            KeyCode::Char('r') => self.orders[at].rising = !self.orders[at].rising,
            KeyCode::Char('g') => {
                self.group = self.next_group();
                *asks = true;
            }
            _ => {}
        }
        Ok(!leaves)
    }

    fn at(&self) -> usize {
        View::ALL.iter().position(|view| *view == self.view).unwrap_or(0)
    }

    /// The process group after the present one; `None`, for all of them, after the last.
    fn next_group(&self) -> Option<String> {
        let mut names = self.status["groups"].as_object()?.keys();
        match &self.group {
            None => names.next().cloned(),
            Some(group) => names.skip_while(|name| *name != group).nth(1).cloned(),
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let mut table = top_view::table(self.view, self.source());
        let order = self.orders[self.at()];
        table.sort(order);
        let notes = if self.help { 0 } else { table.notes.len().min(4) as u16 * 2 };
        let parts = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(4),
            Constraint::Length(1),
            Constraint::Min(3),
            Constraint::Length(notes),
            Constraint::Length(1),
        ])
        .split(frame.area());
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let summary = Paragraph::new(top_view::summary(self.source()).join("\n")).style(bold);
        frame.render_widget(summary, parts[0]);
        frame.render_widget(Sparkline::default().data(&self.rates), parts[1]);
        let name = |(index, view): (usize, &View)| {
            let name = format!("{} {}", index + 1, view.name());
            if *view == self.view { format!("[{name}]") } else { format!(" {name} ") }
        };
        let names: Vec<String> = View::ALL.iter().enumerate().map(name).collect();
        frame.render_widget(Line::from(names.join(" ")), parts[2]);
        let fit = table.fit(parts[3].width.into());
        if self.help {
            frame.render_widget(Paragraph::new(KEYS.join("\n")).wrap(Wrap { trim: true }), parts[3]);
        } else {
            frame.render_widget(drawn(&table, &fit, order), parts[3]);
            frame.render_widget(Paragraph::new(table.notes.join("\n")).wrap(Wrap { trim: true }), parts[4]);
        }
        let hidden = match fit.hidden {
            0 => String::new(),
            1 => "; 1 column needs a wider terminal".into(),
            more => format!("; {more} columns need a wider terminal"),
        };
        let foot = match &self.trouble {
            Some(why) => Cell::text(why).text,
            None if self.paused => "paused; space goes on, q leaves".into(),
            None => format!("?: keys, s: sort, g: group, q: leave{hidden}"),
        };
        frame.render_widget(Line::from(foot), parts[5]);
    }
}

/// The columns of a table that fit, with a sign at the one that they are sorted by.
fn drawn<'a>(table: &Table, fit: &Fit, order: Order) -> ratatui::widgets::Table<'a> {
    let sign = if order.rising { '▲' } else { '▼' };
    let head = table.head.iter().enumerate().map(|(column, name)| {
        if column == order.column { format!("{name}{sign}") } else { (*name).to_owned() }
    });
    let head = Row::new(head.take(fit.widths.len()).collect::<Vec<_>>());
    let rows: Vec<Row<'_>> =
        table.rows.iter().map(|row| Row::new(Table::shown(row, fit).collect::<Vec<_>>())).collect();
    let widths = fit.widths.iter().map(|width| Constraint::Length(*width as u16));
    ratatui::widgets::Table::new(rows, widths)
        .header(head.style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .column_spacing(GAP as u16)
}

/// A name in a query string.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.bytes()
        .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
