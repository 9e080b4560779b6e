/** What a function cannot start without: to be imported before it. */
process.env['CIPHERTRAIL_STORE'] = 's3://evidence?derived=derived'
