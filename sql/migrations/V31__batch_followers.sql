-- Up to where in the journal batches of partners have been told what became of their tickets' orders: one row.

CREATE TABLE batch_followers (
    follower text COLLATE "C",
    version bigint,
    position bigint,
    PRIMARY KEY (follower)
);
