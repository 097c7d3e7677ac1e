'use strict';

module.exports = { ...require('./text'), ...require('./convert'), ...require('./mix'), ...require('./contrast') };
