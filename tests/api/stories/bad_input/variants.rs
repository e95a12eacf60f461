//! Every way to spoil a good request that the document tells.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::examples::{Example, Examples};
use super::resolved;

/// Longer than any text that is taken.
const OVERLONG: usize = 5_000;
/// Tags whose operations ignore parameters that they do not know: providers and probes add their own.
const LENIENT_TAGS: [&str; 2] = ["callbacks", "operations"];

/// A spoilt request.
pub struct Variant {
    /// As `POST /orders`.
    pub operation: String,
    /// What is spoilt in it.
    what: String,
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
    pub wanted: Wanted,
}

/// How it has to be refused.
#[derive(Clone)]
pub struct Wanted {
    pub statuses: Vec<u16>,
    /// The field that 400, 404 and 422 have to name.
    pub field: Option<String>,
    /// A success that is as good.
    pub allowed_success: Option<u16>,
}

impl Wanted {
    fn status(statuses: &[u16]) -> Wanted {
        Wanted { statuses: statuses.to_vec(), field: None, allowed_success: None }
    }

    fn field(field: impl Into<String>) -> Wanted {
        Wanted { field: Some(field.into()), ..Wanted::status(&[422]) }
    }
}

impl Variant {
    pub fn describe(&self) -> String {
        let body = self.body.as_deref().map(|body| String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned());
        let path: String = self.path.chars().take(200).collect();
        format!("{} {}: {path} {}", self.operation, self.what, body.unwrap_or_default())
    }
}

/// An operation of the document with its good request.
struct Operation<'a> {
    document: &'a Value,
    said: &'a Value,
    method: Method,
    path: &'a str,
    example: &'a Example,
}

pub fn variants(document: &Value, examples: &Examples) -> Vec<Variant> {
    let mut variants = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, said) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            let example = examples.of(&method, path);
            let operation = Operation { document, said, method, path, example };
            operation.spoil_body(&mut variants);
            operation.spoil_parameters(&mut variants);
            operation.spoil_authorization(&mut variants);
        }
    }
    variants
}

impl Operation<'_> {
    /// The good request, and what will be wrong in it.
    fn variant(&self, what: impl Into<String>, wanted: Wanted) -> Variant {
        let mut headers = Vec::new();
        if !self.example.token.is_empty() {
            headers.push(("Authorization".to_owned(), format!("Bearer {}", self.example.token).into_bytes()));
        }
        if !self.example.key.is_empty() {
            headers.push(("X-API-Key".to_owned(), self.example.key.clone().into_bytes()));
        }
        for name in self.names("header") {
            headers.push((name.to_owned(), self.example.parameter(name).unwrap().into()));
        }
        let body = (!self.example.body.is_null()).then(|| {
            headers.push(("Content-Type".to_owned(), "application/json".into()));
            self.example.body.to_string().into_bytes()
        });
        let path = self.path_with(None, &[]);
        let operation = format!("{} {}", self.method, self.path);
        Variant { operation, what: what.into(), method: self.method.clone(), path, headers, body, wanted }
    }

    fn parameters(&self, place: &str) -> impl Iterator<Item = &Value> {
        self.said["parameters"].as_array().into_iter().flatten().filter(move |known| known["in"] == place)
    }

    fn names(&self, place: &str) -> impl Iterator<Item = &str> {
        self.parameters(place).map(|parameter| parameter["name"].as_str().unwrap())
    }

    /// The path and the query, with one path parameter replaced, or with query parameters replaced, added or, without
    /// a value, left out. Replacements are encoded already.
    fn path_with(&self, segment: Option<(&str, &str)>, query: &[(&str, Option<&str>)]) -> String {
        let mut path = self.path.to_owned();
        for name in self.names("path") {
            let good = || self.example.parameter(name).unwrap_or_else(|| panic!("{} needs {name}", self.path));
            let value = segment.filter(|(spoilt, _)| *spoilt == name).map_or_else(good, |(_, value)| value);
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let good = self.names("query").filter(|name| query.iter().all(|(spoilt, _)| spoilt != name));
        let good = good.filter_map(|name| Some((name, self.example.parameter(name)?)));
        let spoilt = query.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let pairs: Vec<String> = good.chain(spoilt).map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { path } else { format!("{path}?{}", pairs.join("&")) }
    }

    fn spoil_parameters(&self, variants: &mut Vec<Variant>) {
        let overlong = "9".repeat(OVERLONG);
        for name in self.names("path") {
            for bad in ["none", "7", "%00", "a%00b", "%FF%FE", "%20", "a%0Ab", "%E6%B7%B1", "..%2F..", &overlong] {
                let mut wanted = Wanted { statuses: vec![404, 422], ..Wanted::field(name) };
                let is_free = self.example.any_text.iter().any(|(free, _)| *free == name);
                wanted.allowed_success = (is_free && matches!(bad, "none" | "7")).then_some(200);
                let path = self.path_with(Some((name, bad)), &[]);
                variants.push(Variant { path, ..self.variant(format!("{name} is {bad:.20}"), wanted) });
            }
            let path = self.path_with(Some((name, "")), &[]);
            variants.push(Variant { path, ..self.variant(format!("{name} is empty"), Wanted::status(&[404])) });
        }
        for parameter in self.parameters("query") {
            self.spoil_query(variants, parameter);
        }
        let tag = self.said["tags"][0].as_str().unwrap();
        if !LENIENT_TAGS.contains(&tag) {
            let path = self.path_with(None, &[("unknown", Some("1"))]);
            variants.push(Variant { path, ..self.variant("an unknown parameter", Wanted::field("unknown")) });
        }
        for name in self.names("header") {
            let wanted = || Wanted { statuses: vec![400, 401], ..Wanted::field(name) };
            for bad in [&b""[..], b"a b", b"\xff\xfe", "\u{6df1}".as_bytes(), b"a\tb", overlong.as_bytes()] {
                let mut variant = self.variant(format!("{name} is bad"), wanted());
                variant.headers.retain(|(known, _)| known != name);
                variant.headers.push((name.to_owned(), bad.to_vec()));
                variants.push(variant);
            }
            if self.parameters("header").any(|known| known["name"] == name && known["required"] == true) {
                let mut missing = self.variant(format!("{name} is missing"), wanted());
                missing.headers.retain(|(known, _)| known != name);
                variants.push(missing);
            }
        }
    }

    fn spoil_query(&self, variants: &mut Vec<Variant>, parameter: &Value) {
        let name = parameter["name"].as_str().unwrap();
        let overlong = "9".repeat(OVERLONG);
        let mut bad = vec!["", "%00", "a%00b", "%FF%FE", "a%0Ab", "%", &overlong];
        if is_a(&parameter["schema"], "integer") {
            bad.extend(["two", "-1", "1.5", "1e1", "0x1", "99999999999999999999", "true", "%5B1%5D"]);
        }
        for bad in bad {
            let path = self.path_with(None, &[(name, Some(bad))]);
            let is_free = self.example.any_text.iter().any(|(free, _)| *free == name);
            let allowed_success = (is_free && bad == "%").then_some(200);
            let wanted = Wanted { allowed_success, ..Wanted::field(name) };
            variants.push(Variant { path, ..self.variant(format!("{name} is {bad:.20}"), wanted) });
        }
        let good = self.example.parameter(name);
        if parameter["required"] == true {
            let path = self.path_with(None, &[(name, None)]);
            variants.push(Variant { path, ..self.variant(format!("{name} is missing"), Wanted::field(name)) });
        }
        let path = self.path_with(None, &[(name, good.or(Some("1"))), (name, good.or(Some("1")))]);
        variants.push(Variant { path, ..self.variant(format!("{name} is given twice"), Wanted::status(&[422])) });
    }

    fn spoil_authorization(&self, variants: &mut Vec<Variant>) {
        let security = self.said["security"].as_array();
        if security.is_none_or(|schemes| schemes.iter().any(|scheme| scheme == &json!({}))) {
            return;
        }
        let overlong = format!("Bearer {}", "t".repeat(OVERLONG));
        let bad = ["garbage", "", "Bearer", "Bearer ", "Bearer none", "Basic bWVpOm1laQ==", &overlong];
        for bad in bad.into_iter().map(str::as_bytes).chain([&b"Bearer \xff\xfe"[..], b"\xff"]).map(Some).chain([None])
        {
            let mut variant = self.variant("bad credentials", Wanted::status(&[401]));
            variant.headers.retain(|(known, _)| known != "Authorization" && known != "X-API-Key");
            let header = if self.example.key.is_empty() { "Authorization" } else { "X-API-Key" };
            variant.headers.extend(bad.map(|bad| (header.to_owned(), bad.to_vec())));
            variants.push(variant);
        }
    }

    fn spoil_body(&self, variants: &mut Vec<Variant>) {
        let Some(content) = self.said["requestBody"]["content"].as_object() else { return };
        let schema = resolved(self.document, &content["application/json"]["schema"]);
        // An object, or the one list in it alone.
        let (schema, or_list) = schema["oneOf"].get(0).map_or((schema, false), |object| (object, true));
        let too_deep = if or_list { [400, 422] } else { [400, 400] };
        assert!(self.example.body.is_object(), "{} needs an example of a body", self.path);
        let start = variants.len();
        self.spoil_text(variants, &too_deep);
        let lists = [json!([]), sequence(&self.example.body)];
        let lists = lists.into_iter().filter(|_| !or_list);
        for bad in [Value::Null, json!(7), json!("text"), json!(true)].into_iter().chain(lists) {
            self.replace_body(variants, "another type", &bad, Wanted::field("body"));
        }
        let mut spoiler = Spoiler { operation: self, variants };
        spoiler.object(schema, &mut |body| body.clone(), "");
        if self.example.is_signed {
            for variant in &mut variants[start..] {
                let is_large = variant.wanted.statuses == [413];
                variant.wanted = Wanted::status(if is_large { &[413] } else { &[401] });
            }
        }
    }

    fn replace_body(&self, variants: &mut Vec<Variant>, what: &str, body: &Value, wanted: Wanted) {
        variants.push(Variant { body: Some(body.to_string().into_bytes()), ..self.variant(what, wanted) });
    }

    /// What is no JSON, or not sent as such.
    fn spoil_text(&self, variants: &mut Vec<Variant>, too_deep: &[u16]) {
        let good = self.example.body.to_string().into_bytes();
        let string = good.windows(2).position(|pair| pair == b":\"").map(|start| start + 2);
        let in_a_string = |bytes: &[u8]| string.map(|start| [&good[..start], bytes, &good[start..]].concat());
        let deep = self.variant("too deep", Wanted::status(too_deep));
        variants.push(Variant { body: Some(b"[".repeat(OVERLONG)), ..deep });
        let malformed: [(&str, Vec<u8>); 7] = [
            ("no JSON", b"nonsense".to_vec()),
            ("truncated", good[..good.len() - 1].to_vec()),
            ("half of it", good[..good.len() / 2].to_vec()),
            ("empty", Vec::new()),
            ("only a space", b" ".to_vec()),
            ("more behind it", [&good[..], b"{}"].concat()),
            ("a byte order mark", [&b"\xef\xbb\xbf"[..], &good].concat()),
        ];
        let in_strings = [("no UTF-8", &b"\xff\xfe"[..]), ("half a surrogate", b"\\ud800"), ("a raw NUL", b"\0")];
        let in_strings = in_strings.into_iter().filter_map(|(what, bytes)| Some((what, in_a_string(bytes)?)));
        for (what, body) in malformed.into_iter().chain(in_strings) {
            variants.push(Variant { body: Some(body), ..self.variant(what, Wanted::status(&[400])) });
        }
        let too_large = self.example.bytes_max + 1;
        for body in [Some(vec![b' '; too_large]), in_a_string(&vec![b'x'; too_large])].into_iter().flatten() {
            variants.push(Variant { body: Some(body), ..self.variant("too large", Wanted::status(&[413])) });
        }
        let duplicate = [&good[..good.len() - 1], b",", &good[1..]].concat();
        variants.push(Variant { body: Some(duplicate), ..self.variant("every field twice", Wanted::status(&[422])) });
        for kind in [None, Some(&b"text/plain"[..]), Some(b"application/x-www-form-urlencoded"), Some(b"\xff")] {
            let mut variant = self.variant("another media type", Wanted::status(&[415]));
            variant.headers.retain(|(known, _)| known != "Content-Type");
            variant.headers.extend(kind.map(|kind| ("Content-Type".to_owned(), kind.to_vec())));
            variants.push(variant);
        }
    }
}

/// Whether a schema takes this type.
fn is_a(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|known| known == kind))
}

/// An object's values without their names: what a lenient reader would take for the object.
fn sequence(object: &Value) -> Value {
    object.as_object().unwrap().values().cloned().collect()
}

/// Puts a value where it is being spoilt and gives the whole body.
type Place<'a> = &'a mut dyn FnMut(&Value) -> Value;

/// Of `items[0].kind`, `/items/0/kind`.
fn pointer(path: &str) -> String {
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    if pointer.is_empty() { pointer } else { format!("/{pointer}") }
}

/// Walks through the schema of a body.
struct Spoiler<'a, 'b> {
    operation: &'a Operation<'b>,
    variants: &'a mut Vec<Variant>,
}

impl<'b> Spoiler<'_, 'b> {
    fn push(&mut self, what: &str, body: &Value, wanted: Wanted) {
        let what = format!("{}: {what}", wanted.field.as_deref().unwrap_or_default());
        self.operation.replace_body(self.variants, &what, body, wanted);
    }

    /// The value at a path such as `contact` in the good body.
    fn good(&self, path: &str) -> Option<&'b Value> {
        let Example { body, others, .. } = self.operation.example;
        std::iter::once(body).chain(others).find_map(|body| body.pointer(&pointer(path)))
    }

    fn nested(&mut self, schema: &Value, place: Place<'_>, path: &str) {
        let good = self.good(path).unwrap_or_else(|| panic!("the example needs {path}"));
        self.push("a list for an object", &place(&sequence(good)), Wanted::field(path));
        self.object(schema, place, path);
    }

    fn object(&mut self, schema: &Value, place: Place<'_>, path: &str) {
        let schema = resolved(self.operation.document, schema);
        let good = self.good(path).and_then(Value::as_object);
        let good = good.unwrap_or_else(|| panic!("the example of {} needs {path}", self.operation.path)).clone();
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let mut unknown = good.clone();
        unknown.insert("unknown".into(), json!(1));
        let body = place(&Value::Object(unknown));
        self.push("unknown", &body, Wanted::field(inside("unknown")));
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let without: Map<_, _> = good.clone().into_iter().filter(|(known, _)| known != name).collect();
            let body = place(&Value::Object(without));
            self.push("missing", &body, Wanted::field(inside(name)));
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let mut with = |value: &Value| {
                let mut object = good.clone();
                object.insert(name.clone(), value.clone());
                place(&Value::Object(object))
            };
            self.value(property, &mut with, &inside(name));
        }
    }

    fn value(&mut self, schema: &Value, place: Place<'_>, path: &str) {
        let document = self.operation.document;
        let mut nullable = is_a(schema, "null");
        let mut schema = resolved(document, schema);
        for choice in ["oneOf", "anyOf"].into_iter().filter_map(|kind| schema[kind].as_array()).flatten() {
            if is_a(choice, "null") {
                nullable = true;
            } else {
                schema = resolved(document, choice);
            }
        }
        let is = |kind: &str| is_a(schema, kind);
        let types: [(bool, Value); 8] = [
            (is("string"), json!("text")),
            (is("integer") || is("number"), json!(7)),
            (is("number"), json!(-1.5)),
            (is("object"), json!({})),
            (is("array"), json!([])),
            (is("array"), json!(["text", "text"])),
            (nullable, Value::Null),
            (is("boolean"), json!(true)),
        ];
        for (_, bad) in types.into_iter().filter(|(fits, _)| !fits) {
            self.push("another type", &place(&bad), Wanted::field(path));
        }
        if is("string") {
            self.text(schema, place, path);
        }
        if is("integer") {
            let above = schema["maximum"].as_i64().map(|most| json!(most + 1));
            let out_of_range = [json!(i64::MIN), json!(u64::MAX), json!(1e300)];
            // Unless it is told that there is something below nothing.
            let below = schema["minimum"].as_i64().unwrap_or(0).min(0) - 1;
            for bad in out_of_range.into_iter().chain(above).chain([json!(below)]) {
                self.push("out of range", &place(&bad), Wanted::field(path));
            }
        }
        if is("array") {
            self.array(schema, place, path);
        }
        if is("object") {
            let example = self.operation.example;
            let pointer = pointer(path);
            match example.others.iter().find(|other| other.pointer(&pointer).is_some()) {
                Some(other) if example.body.pointer(&pointer).is_none() => {
                    let mut put = |value: &Value| {
                        let mut body = other.clone();
                        *body.pointer_mut(&pointer).unwrap() = value.clone();
                        body
                    };
                    self.nested(schema, &mut put, path);
                }
                _ => self.nested(schema, place, path),
            }
        }
    }

    fn text(&mut self, schema: &Value, place: Place<'_>, path: &str) {
        let any = self.operation.example.any_text.iter().any(|(field, _)| *field == path);
        let mut bad = vec!["x".repeat(OVERLONG), "\u{6df1}".repeat(OVERLONG)];
        bad.extend(["a\u{0}b", "\u{0}", "a\u{1}b", "a\u{1b}[2Jb", "a\u{7f}b", "a\u{85}b", ""].map(str::to_owned));
        bad.extend(schema["maxLength"].as_u64().map(|most| "x".repeat(usize::try_from(most).unwrap() + 1)));
        for bad in bad {
            // An id that cannot be one is not there.
            let mut wanted = Wanted { statuses: vec![404, 422], ..Wanted::field(path) };
            wanted.allowed_success = any.then_some(200);
            self.push("bad text", &place(&json!(bad)), wanted);
        }
    }

    fn array(&mut self, schema: &Value, place: Place<'_>, path: &str) {
        let first = self.good(&format!("{path}[0]")).cloned();
        if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
            self.push("too few", &place(&json!([])), Wanted::field(path));
        }
        let item = first.clone().unwrap_or_else(|| json!("text"));
        let most = schema["maxItems"].as_u64().map_or(1_000, |most| usize::try_from(most).unwrap() + 1);
        self.push("too many", &place(&Value::Array(vec![item; most])), Wanted::field(path));
        let mut with = |value: &Value| place(&json!([value]));
        self.value(&schema["items"], &mut with, &format!("{path}[0]"));
    }
}
