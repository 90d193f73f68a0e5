-- Who is asking the processor about an intent, and until when that is believed. With an empty claim
-- nobody asks, and lease_us is when it should be asked again.

ALTER TABLE intent ADD COLUMN claim TEXT NOT NULL DEFAULT '';
ALTER TABLE intent ADD COLUMN lease_us INTEGER NOT NULL DEFAULT 0;
