PRAGMA application_id=1128485460;
BEGIN TRANSACTION;
CREATE TABLE entries (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, once TEXT, lane TEXT NOT NULL,
        label TEXT NOT NULL, put_at REAL NOT NULL, body BLOB NOT NULL, ready INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0, due REAL DEFAULT 0, intent TEXT, lost_at REAL, tries INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0, alone INTEGER NOT NULL DEFAULT 0, fault TEXT, most INTEGER NOT NULL DEFAULT 0,
        outcome TEXT, reasons TEXT
    );
INSERT INTO "entries" VALUES(2,'purchases.send_purchase','8bc1ea2ea78f1ee0f5a8ff4f704','purchases external_purchase_id 8bc1ea2ea78f1ee0f5a8ff4f704','customer r','purchases.send_purchase 4',1772452800.0,CAST('{"key":["8bc1ea2ea78f1ee0f5a8ff4f70","4"],"changes":{"path":{},"body":{"store_id":"8bc1ea2ea78f1ee0f5a8ff4f70","cashdesk_number":1,"bill":{"bill_id":"4","payment_time":"2026-03-02 10:00:00","currency_id":"czk","total_price":10,"bill_items":[{"plu_ids":[],"plu_name":"Bread","vat_rate":21,"quantity":1,"paid_amount":10,"price":10,"bill_item_id":"1","loyalty_off":false,"purchase_item_type_id":"t"}],"purchase_type_id":"p","canceled":false,"payment_type":"cash"},"customer_id":"r"}}}' AS BLOB),0,3,NULL,'[true, [], null, {}, null]',NULL,0,0,0,NULL,0,'refused','["bill.payment_recap: voucher_used"]');
INSERT INTO "entries" VALUES(3,'points.assign_points','pB1','points reference pB1','customer p','points.assign_points B1',1772452800.0,CAST('{"key":["p","B1"],"changes":{"path":{},"body":{"amount":5,"customer_id":"p","note":"[ref: B1]"}}}' AS BLOB),1,1,NULL,'[true, [], null, {}, null]',NULL,0,0,0,NULL,0,NULL,NULL);
INSERT INTO "entries" VALUES(4,'update customers','c1',NULL,'customer c1','customers.update c1',1772452800.0,CAST('{"key":["c1"],"changes":{"personal_information":{"first_name":"Eva"}}}' AS BLOB),1,2,1084.0,'[false, ["personal_information.first_name"], "c1", {"personal_information.first_name": "11c3c44c1653c09c"}, null]',1049.0,1,0,0,NULL,1,NULL,NULL);
INSERT INTO "entries" VALUES(5,'purchases.send_purchase','8bc1ea2ea78f1ee0f5a8ff4f701','purchases external_purchase_id 8bc1ea2ea78f1ee0f5a8ff4f701','customer p','purchases.send_purchase 1',1772452800.0,CAST('{"key":["8bc1ea2ea78f1ee0f5a8ff4f70","1"],"changes":{"path":{},"body":{"store_id":"8bc1ea2ea78f1ee0f5a8ff4f70","cashdesk_number":1,"bill":{"bill_id":"1","payment_time":"2026-03-02 10:00:00","currency_id":"czk","total_price":10,"bill_items":[{"plu_ids":[],"plu_name":"Bread","vat_rate":21,"quantity":1,"paid_amount":10,"price":10,"bill_item_id":"1","loyalty_off":false,"purchase_item_type_id":"t"}],"purchase_type_id":"p","canceled":false,"payment_type":"cash"},"customer_id":"p"}}}' AS BLOB),0,0,0.0,NULL,NULL,0,0,0,NULL,0,NULL,NULL);
CREATE TABLE past (
        once BLOB PRIMARY KEY, id INTEGER NOT NULL, call BLOB NOT NULL, at REAL NOT NULL, intent TEXT,
        tries INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID;
INSERT INTO "past" VALUES(X'70B8F0D7CD5E388B5A462379EF3C3F81',1,X'D608E000B9728BFCA791AE6E0674B148',1772452800.0,NULL,0);
CREATE TABLE run (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "run" VALUES('binding',CAST('{"project":"63ccbfbb62773d583f561d5ccd8f756d","identity":"682eb31161d17cf1405fe1c3c7312fde"}' AS BLOB));
INSERT INTO "run" VALUES('kind',CAST('"outbox"' AS BLOB));
INSERT INTO "run" VALUES('owners','[1]');
INSERT INTO "run" VALUES('settle',CAST('60.0' AS BLOB));
INSERT INTO "run" VALUES('version',CAST('4' AS BLOB));
CREATE UNIQUE INDEX by_once ON entries (once) WHERE once IS NOT NULL;
CREATE INDEX by_lane ON entries (lane, id) WHERE state < 3;
CREATE INDEX by_ready ON entries (kind, id) WHERE ready = 1;
CREATE INDEX by_failure ON entries (id) WHERE state = 3;
CREATE INDEX by_age ON past (at);
COMMIT;
