-- Orders of a customer, in cents.
-- depends: create_customers
-- migrate:up
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  cents INTEGER NOT NULL CHECK (cents >= 0)
);
CREATE INDEX orders_customer_id ON orders (customer_id);
INSERT INTO orders (customer_id, cents) VALUES (1, 1200), (2, 4200);

-- migrate:down
DROP TABLE orders;
