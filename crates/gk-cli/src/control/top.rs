//! `gilkeeper top`: the dashboard's figures in the terminal, once a second. What is shown is `top_view`'s.

use super::admin_pages::Pages;
use super::client;
use super::top_view::{self, View};
use crate::{Failure, print};
use clap::ArgMatches;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Sparkline, Table, Wrap};
use serde_json::Value;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Seconds drawn above the tables.
const DRAWN: usize = 240;

/// Contents of the screen.
struct Screen {
    view: View,
    paused: bool,
    status: Value,
    requests: Value,
    /// Requests a second, newest first.
    rates: Vec<u64>,
    /// Why the figures are old.
    trouble: Option<String>,
}

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let pages = client::pages(given)?;
    let mut screen = Screen {
        view: View::Groups,
        paused: false,
        status: pages.read("/api/v1/status").map_err(Failure::Failed)?,
        requests: pages.read("/api/v1/requests").map_err(Failure::Failed)?,
        rates: Vec::new(),
        trouble: None,
    };
    if given.get_flag("once") || !std::io::stdout().is_terminal() {
        print(&top_view::plain(&screen.status, &screen.requests));
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
        match screen.key(next.saturating_duration_since(Instant::now())) {
            Ok(true) => {}
            Ok(false) => break,
            Err(why) => done = Err(why),
        }
    }
    ratatui::restore();
    done.map(|()| 0).map_err(|why| Failure::Failed(format!("the terminal is gone: {why}")))
}

impl Screen {
    fn refresh(&mut self, pages: &Pages) {
        if self.paused {
            return;
        }
        match pages.read("/api/v1/status").and_then(|status| Ok((status, pages.read("/api/v1/requests")?))) {
            Ok((status, requests)) => {
                self.rates.insert(0, status["total"]["requests"].as_f64().unwrap_or(0.0) as u64);
                self.rates.truncate(DRAWN);
                (self.status, self.requests, self.trouble) = (status, requests, None);
            }
            Err(why) => self.trouble = Some(why),
        }
    }

    /// Waits for a key, at most that long. `false`: leave.
    fn key(&mut self, longest: Duration) -> std::io::Result<bool> {
        if !event::poll(longest)? {
            return Ok(true);
        }
        let Event::Key(key) = event::read()? else { return Ok(true) };
        if key.kind != KeyEventKind::Press {
            return Ok(true);
        }
        let at = View::ALL.iter().position(|view| *view == self.view).unwrap_or(0);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(false),
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char(digit @ '1'..='4') => self.view = View::ALL[digit as usize - '1' as usize],
            KeyCode::Tab | KeyCode::Right => self.view = View::ALL[(at + 1) % View::ALL.len()],
            KeyCode::Left => self.view = View::ALL[(at + View::ALL.len() - 1) % View::ALL.len()],
            _ => {}
        }
        Ok(true)
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let table = top_view::rows(self.view, &self.status, &self.requests);
        let notes = table.notes.len().min(4) as u16 * 2;
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
        let summary = Paragraph::new(top_view::summary(&self.status)).wrap(Wrap { trim: true }).style(bold);
        frame.render_widget(summary, parts[0]);
        frame.render_widget(Sparkline::default().data(&self.rates), parts[1]);
        let name = |(index, view): (usize, &View)| {
            let name = format!("{} {}", index + 1, view.name());
            if *view == self.view { format!("[{name}]") } else { format!(" {name} ") }
        };
        let names: Vec<String> = View::ALL.iter().enumerate().map(name).collect();
        frame.render_widget(Line::from(names.join("  ")), parts[2]);
        let cell = |row: &Vec<String>, column: usize| row[column].chars().count();
        let widths: Vec<Constraint> = (0..table.head.len())
            .map(|column| {
                let longest = table.rows.iter().map(|row| cell(row, column)).max().unwrap_or(0);
                Constraint::Length(longest.max(table.head[column].chars().count()).min(48) as u16)
            })
            .collect();
        let rows = table.rows.into_iter().map(Row::new);
        let head = Row::new(table.head).style(Style::new().add_modifier(Modifier::UNDERLINED));
        frame.render_widget(Table::new(rows, widths).header(head).column_spacing(2), parts[3]);
        frame.render_widget(Paragraph::new(table.notes.join("\n")).wrap(Wrap { trim: true }), parts[4]);
        let foot = match &self.trouble {
            Some(why) => top_view::text(why),
            None if self.paused => "paused; space goes on, q leaves".into(),
            None => "1-4 or arrows: page, space: pause, q: leave".into(),
        };
        frame.render_widget(Line::from(foot), parts[5]);
    }
}
