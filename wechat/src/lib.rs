//! WeChat Pay API v3 and the mini-program server API: the client, and a simulator that speaks the same protocol.
