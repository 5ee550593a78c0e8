//! Sets keys in the text of `config.toml`, line by line, so that comments and order stay. Pure.

/// A key with its section and its wanted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// The text with these keys. A key that has its value already is left as it is written.
pub(super) fn set(text: &str, keys: &[Key]) -> String {
    keys.iter().fold(text.to_owned(), |text, key| set_one(&text, key))
}

fn set_one(text: &str, Key { section, name, value }: &Key) -> String {
    let written = format!("{name} = {}", quoted(value));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = format!("[{section}]");
    let Some(start) = lines.iter().position(|line| line.trim_start().starts_with(&header)) else {
        return format!("{}\n\n{header}\n{written}\n", text.trim_end());
    };
    let length = lines[start + 1..].iter().position(|line| line.trim_start().starts_with('['));
    let end = length.map_or(lines.len(), |length| start + 1 + length);
    let is_it =
        |line: &String| line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
    match lines[start + 1..end].iter().position(is_it).map(|at| start + 1 + at) {
        Some(at) if value_of(&lines[at]).as_deref() == Some(value) => {}
        Some(at) => lines[at] = written,
        None => lines.insert(start + 1, written),
    }
    format!("{}\n", lines.join("\n"))
}

/// A TOML basic string. The values are paths, names and URLs, without control characters.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The string that a line sets.
fn value_of(line: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(line).ok()?;
    table.values().next()?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(section: &'static str, name: &'static str, value: &str) -> Key {
        Key { section, name, value: value.to_owned() }
    }

    #[test]
    fn keys_are_set_where_they_belong_and_all_else_stays() {
        let text =
            "# top\n[wechat]\n# The app id.\napp_id = \"wx0\" # old\n\n[gateway]\n# user = \"x\"\n[alerts]\nuser = 1\n";
        let keys =
            [key("wechat", "app_id", "wx1"), key("gateway", "user", "ubuntu"), key("backup", "journal", "/a \"b\"")];
        let set_once = set(text, &keys);
        assert_eq!(
            set_once,
            "# top\n[wechat]\n# The app id.\napp_id = \"wx1\"\n\n[gateway]\nuser = \"ubuntu\"\n# user = \"x\"\n[alerts]\n\
             user = 1\n\n[backup]\njournal = \"/a \\\"b\\\"\"\n"
        );
        assert_eq!(set(&set_once, &keys), set_once);
        let same = "[wechat]\n  app_id='wx1' # mine\n";
        assert_eq!(set(same, &keys[..1]), same, "a value that is right keeps its comment");
    }
}
