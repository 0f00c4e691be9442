-- Room for the next version of a row in the row's own page: no index is written then.
ALTER TABLE receipt SET (fillfactor = 70);
ALTER TABLE stream SET (fillfactor = 50);
ALTER TABLE agent SET (fillfactor = 50);
