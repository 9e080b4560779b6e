import fc from 'fast-check'

// A run that fails must fail again: properties get one seed, unless somebody looks for stories that no run has told yet.
fc.configureGlobal({ seed: Number(process.env['PROPERTY_SEED'] ?? 20_261_124) })
