# Flattens the YAML of cloud-init files to lines "path=value", such as "users/0/name=root".
# Knows block and flow collections, JSON, plain and quoted scalars on one line, and comments; leaves out block
# scalars (| and >). Anchors, tags and several documents are not known.

# The top frame of the stack is (indent[d], kind[d], path[d]); a map keeps its last key, a sequence its last index.
BEGIN { d = 0; indent[0] = -1; kind[0] = "root"; flow = "" }

{ sub(/\r$/, "") }

flow != "" {
  flow = flow " " $0
  if (complete(flow)) end_flow()
  next
}

/^[ ]*(#.*)?$/ || /^(---|\.\.\.)/ || /^%/ { next }

{
  match($0, /^ */)
  column = RLENGTH
  if (scalar_indent != "") {
    if (column > scalar_indent) next
    scalar_indent = ""
  }
  rest = substr($0, column + 1)
  while (rest ~ /^-( |$)/) {
    sequence_item(column)
    match(rest, /^- */)
    column += RLENGTH
    rest = substr(rest, RLENGTH + 1)
  }
  if (match(rest, /^("[^"]*"|'[^']*'|[^["'{#|>][^:]*) *:( |$)/)) {
    name = substr(rest, 1, RLENGTH)
    sub(/ *: *$/, "", name)
    map_key(column, unquote(name))
    rest = substr(rest, RLENGTH + 1)
    sub(/^ +/, "", rest)
  }
  value(rest)
}

function child_path() { return d == 0 ? "" : path[d] "/" last[d] }

function push(column, what,  parent) {
  parent = child_path()
  d++
  indent[d] = column
  kind[d] = what
  path[d] = parent
  last[d] = -1
}

function sequence_item(column) {
  while (d > 0 && indent[d] > column) d--
  if (kind[d] != "sequence" || indent[d] != column) push(column, "sequence")
  last[d]++
}

function map_key(column, name) {
  while (d > 0 && (indent[d] > column || (indent[d] == column && kind[d] == "sequence"))) d--
  if (kind[d] != "map" || indent[d] != column) push(column, "map")
  last[d] = name
}

function value(text) {
  if (text == "" || text ~ /^#/) return
  if (text ~ /^[|>]/) { scalar_indent = indent[d]; return }
  if (text ~ /^[[{]/) {
    flow = text
    flow_path = child_path()
    if (complete(flow)) end_flow()
    return
  }
  if (text !~ /^["']/) sub(/ +#.*$/, "", text)
  else if (text ~ /^"/) match(text, /^"([^"\\]|\\.)*"/)
  else match(text, /^'([^']|'')*'/)
  if (text ~ /^["']/ && RLENGTH > 0) text = substr(text, 1, RLENGTH)
  emit(child_path(), unquote(text))
}

function unquote(text) {
  if (text ~ /^".*"$/) {
    text = substr(text, 2, length(text) - 2)
    gsub(/\\[nrt]/, " ", text)
    gsub(/\\"/, "\"", text)
    gsub(/\\\//, "/", text)
    gsub(/\\\\/, "\\", text)
  } else if (text ~ /^'.*'$/) {
    text = substr(text, 2, length(text) - 2)
    gsub(/''/, "'", text)
  }
  return text
}

function emit(where, text) {
  sub(/^ +/, "", text)
  sub(/ +$/, "", text)
  sub(/^\//, "", where)
  print where "=" text
}

# Whether every bracket outside quotes is closed.
function complete(text,  i, c, quote, depth) {
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (quote != "") {
      if (c == "\\" && quote == "\"") i++
      else if (c == quote) quote = ""
    } else if (c == "\"" || c == "'") quote = c
    else if (c == "[" || c == "{") depth++
    else if (c == "]" || c == "}") depth--
  }
  return depth <= 0
}

function end_flow() {
  at = 1
  parse_flow(flow_path)
  flow = ""
}

function skip(characters) {
  while (at <= length(flow) && index(characters, substr(flow, at, 1)) > 0) at++
}

function parse_flow(where,  c, i, name) {
  skip(" \t")
  c = substr(flow, at, 1)
  if (c == "[") {
    at++
    for (i = 0; ; i++) {
      skip(" \t,")
      if (at > length(flow)) return
      if (substr(flow, at, 1) == "]") { at++; return }
      parse_flow(where "/" i)
    }
  }
  if (c == "{") {
    at++
    while (1) {
      skip(" \t,")
      if (at > length(flow)) return
      if (substr(flow, at, 1) == "}") { at++; return }
      name = flow_scalar()
      skip(" \t")
      if (substr(flow, at, 1) == ":") { at++; parse_flow(where "/" name) }
    }
  }
  emit(where, flow_scalar())
}

function flow_scalar(  start, c, quote) {
  start = at
  quote = substr(flow, at, 1)
  if (quote == "\"" || quote == "'") {
    for (at++; at <= length(flow); at++) {
      c = substr(flow, at, 1)
      if (c == "\\" && quote == "\"") at++
      else if (c == "'" && quote == "'" && substr(flow, at + 1, 1) == "'") at++
      else if (c == quote) break
    }
    at++
    return unquote(substr(flow, start, at - start))
  }
  for (; at <= length(flow); at++) {
    c = substr(flow, at, 1)
    if (c == "," || c == "]" || c == "}" || c == "[" || c == "{") break
    if (c == ":" && substr(flow, at + 1, 1) ~ /^[],} ]?$/) break
  }
  # A character that fits nowhere must not stop the reader.
  if (at == start) at++
  return unquote(substr(flow, start, at - start))
}
