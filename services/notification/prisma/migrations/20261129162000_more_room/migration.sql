-- A message is claimed, sent and delivered, and grows by its subject and the provider's id: with less room every second one went to another page,
-- and into all indexes with it.
ALTER TABLE "notification" SET (fillfactor = 45);
