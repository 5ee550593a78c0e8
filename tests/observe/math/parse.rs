//! Reads an expression.

use super::{Expression, Fold, Operator};

/// Parses an expression; an error says what was not understood.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { rest: text };
    let expression = parser.chain(0)?;
    if parser.rest.trim().is_empty() { Ok(expression) } else { Err(format!("unexpected: {}", parser.rest)) }
}

/// Operators from the loosest to the tightest; of one row, longer ones first.
const LEVELS: [&[(&str, Operator)]; 5] = [
    &[("OR", Operator::Or), ("||", Operator::Or)],
    &[("AND", Operator::And), ("&&", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::AtMost),
        (">=", Operator::AtLeast),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Plus), ("-", Operator::Minus)],
    &[("*", Operator::Times), ("/", Operator::Over)],
];

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    fn needs(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(format!("expected {token} at: {}", self.rest)) }
    }

    fn chain(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.primary() };
        let mut left = self.chain(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(token, _)| self.takes(token)) {
            left = Expression::Operation(Box::new(left), *operator, Box::new(self.chain(level + 1)?));
        }
        Ok(left)
    }

    fn word(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.rest = after;
        word
    }

    fn primary(&mut self) -> Result<Expression, String> {
        if self.takes("(") {
            let inner = self.chain(0)?;
            self.needs(")")?;
            return Ok(inner);
        }
        if self.rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            let number = self.word(|c| c.is_ascii_digit() || c == '.');
            return number.parse().map(Expression::Number).map_err(|_| format!("no number: {number}"));
        }
        let word = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        match word {
            "IF" => {
                self.needs("(")?;
                let test = self.chain(0)?;
                self.needs(",")?;
                let then = self.chain(0)?;
                self.needs(",")?;
                let otherwise = self.chain(0)?;
                self.needs(")")?;
                Ok(Expression::If(Box::new([test, then, otherwise])))
            }
            "FILL" => {
                self.needs("(")?;
                let inner = self.chain(0)?;
                self.needs(",")?;
                let Expression::Number(filling) = self.primary()? else { return Err("FILL takes a number".into()) };
                self.needs(")")?;
                Ok(Expression::Fill(Box::new(inner), filling))
            }
            "SUM" => self.list(Fold::Sum),
            "MAX" => self.list(Fold::Max),
            "MIN" => self.list(Fold::Min),
            "INSIGHT_RULE_METRIC" => {
                self.needs("(")?;
                let rule = self.quoted()?;
                self.needs(",")?;
                let metric = self.quoted()?;
                self.needs(")")?;
                Ok(Expression::Insight(rule, metric))
            }
            id if id.starts_with(|c: char| c.is_ascii_lowercase()) => Ok(Expression::Id(id.to_owned())),
            other => Err(format!("not understood: {other}{}", self.rest)),
        }
    }

    fn list(&mut self, fold: Fold) -> Result<Expression, String> {
        self.needs("([")?;
        let mut parts = vec![self.chain(0)?];
        while self.takes(",") {
            parts.push(self.chain(0)?);
        }
        self.needs("])")?;
        Ok(Expression::Over(fold, parts))
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.needs("'")?;
        let (inside, after) = self.rest.split_once('\'').ok_or("a quote is open")?;
        self.rest = after;
        Ok(inside.to_owned())
    }
}
