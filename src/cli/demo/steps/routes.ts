import { type Scene, SHOP, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

/** Who answers is decided by what the client asks for, and the application sees who asks. */
export function routes(scene: Scene): Step {
  const { net, client } = scene
  return {
    name: 'routes',
    title: 'the request decides: host and path choose the pool; the application sees the client itself',
    async run() {
      const video = await client.whoAmI(`${VIDEO}/film`)
      const byPath = await client.whoAmI(`${SHOP}/media/film`)
      const shop = await client.whoAmI(`${SHOP}/v/film`)
      expect(video.backend === 'media-1', '*.video.example/v/ goes to pool media', video)
      expect(byPath.backend === 'media-1', '/media/ goes to pool media', byPath)
      expect(shop.backend.startsWith('web-'), 'everything else goes to pool web', shop)
      expect(video.client.endsWith(net.client.ipv4), "the socket has the client's own address", video)
      expect(video.local.endsWith(net.vip4), 'and the VIP as its local one', video)
      return { media: video.backend, web: shop.backend, clientSeen: video.client }
    },
  }
}
