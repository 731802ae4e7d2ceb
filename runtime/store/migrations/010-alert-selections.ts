/** Alert rules about the domains that a query selects, and what it stood for when they were last measured. */
export default `
SET LOCAL search_path = hypersdk;
ALTER TABLE alert_rule ADD COLUMN selects text, ADD COLUMN selected jsonb;
`;
