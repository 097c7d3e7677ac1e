'use strict';

module.exports = { ...require('./braces'), ...require('./segment'), ...require('./glob'), ...require('./ignore') };
